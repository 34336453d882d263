"""OnlyOne: find the unique pictures of a repetitive FiftyOne dataset.

FiftyOne executes this file again at every operator request, so it holds nothing but the entry point.
"""


def register(plugin):
    """Register every operator and panel of the plugin with FiftyOne."""
    from .operators import register as register_operators
    from .similarity import register_backend

    register_backend()
    register_operators(plugin)
