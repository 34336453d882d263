"""OnlyOne's operations on a FiftyOne sample collection; nothing is imported before its use."""

from typing import Any


def register_backend() -> None:
    """Register ``backend="annoy"`` with ``fiftyone.brain``; a second call does nothing."""
    import fiftyone.brain as fob

    # By name, not as a class: FiftyOne runs this at every operator request, and imports the class on use.
    settings = fob.brain_config.similarity_backends.setdefault("annoy", {})
    settings.setdefault("config_cls", f"{__name__}.annoy_backend.AnnoySimilarityConfig")


def load_index(dataset: Any, brain_key: str) -> Any:
    """Return the similarity index of a brain key, also in a process that has not used any plugin yet.

    Returns:
        an :class:`~similarity.annoy_backend.AnnoySimilarityIndex`

    Raises:
        ValueError: if the key does not exist, or is not an index of this plugin
    """
    import fiftyone.operators as foo

    from .result import NeedsOperator

    foo.list_operators()  # loads the plugins; without them FiftyOne does not find the index's class
    keys = dataset.list_brain_runs(type="similarity")
    if brain_key not in keys:
        known = f"it has {', '.join(keys)}" if keys else "it has none"
        raise NeedsOperator(
            f"The dataset {dataset.name!r} has no similarity index {brain_key!r} ({known}); run build_similarity_index",
            "build_similarity_index",
            brain_key=brain_key,
        )
    method = dataset.get_brain_info(brain_key).config.method
    if method != "annoy":
        raise ValueError(
            f"The similarity index {brain_key!r} is of the backend {method!r}, not 'annoy'; build another"
        )
    try:
        index = dataset.load_brain_results(brain_key)
    except AttributeError:  # FiftyOne's own, where another process is replacing the run at this moment
        index = None
    if index is None:
        raise ValueError(
            f"The similarity index {brain_key!r} is not finished: another process is building it, or was killed while it "
            "did. Wait, or run build_similarity_index again"
        )
    return index
