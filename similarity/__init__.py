"""What OnlyOne does to a FiftyOne sample collection; nothing is imported before it is used."""


def register_backend() -> None:
    """Make ``backend="annoy"`` known to ``fiftyone.brain``, once per process."""
