"""Forms, progress and messages of the App; nothing is computed or written here."""


def register(plugin):
    """Register every operator and panel with FiftyOne."""
    from .catalog import OPERATORS
    from .panel.panel import DeduplicationPanel

    for operator in (*OPERATORS, DeduplicationPanel):
        plugin.register(operator)
