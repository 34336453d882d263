"""A map of the vectors in two dimensions, which FiftyOne's own Embeddings panel draws."""

import importlib.util
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.brain as fob

from ..data import freshness, locks
from ..data import samples as sm
from ..data.seals import json_digest
from ..data.vectors import read_vectors
from ..progress import Progress, silent
from ..result import Result, count

_LEAST = 2  # samples, and values of each vector


@dataclass(frozen=True, kw_only=True)
class MapResult(Result):
    """The map that :func:`draw_map` made.

    Attributes:
        brain_key: the name of the visualization
        method: ``umap`` or ``pca``
        samples: number of samples on it
    """

    brain_key: str
    method: str
    samples: int

    def summary(self) -> str:
        """Return the result in words."""
        return f"The map {self.brain_key!r} ({self.method}) shows {count(self.samples, 'sample')}."


def is_ours(dataset: fo.Dataset, brain_key: str) -> bool:
    """Return whether there is a Brain run of this name, and :func:`draw_map` made it."""
    return dataset.has_brain_run(brain_key) and hasattr(dataset.get_brain_info(brain_key).config, "onlyone")


def is_current(dataset: fo.Dataset, field: str, brain_key: str) -> bool:
    """Return whether a map shows the vectors that a field has now.

    Raises:
        ValueError: if something else has the map's name
    """
    _refuse_foreign(dataset, brain_key)
    if not dataset.has_brain_run(brain_key):
        return False
    drawn = dataset.get_brain_info(brain_key).config.onlyone
    return drawn == _state(dataset, field) and dataset.load_brain_results(brain_key) is not None


def draw_map(dataset: fo.Dataset, field: str, brain_key: str, progress: Progress = silent) -> MapResult:
    """Make a visualization of a field's usable vectors: by UMAP where it is installed, and else by PCA.

    Raises:
        ValueError: if there are too few usable vectors, or something else has the map's name
        Busy: if it is being made
    """
    with locks.lock(dataset, f"brain-{brain_key}"):
        _refuse_foreign(dataset, brain_key)
        progress("Reading the vectors", 0, 1)
        samples, state = sm.everything(dataset), _state(dataset, field)
        vectors = read_vectors(samples, field)
        if min(vectors.matrix.shape) < _LEAST:
            number, length = vectors.matrix.shape
            raise ValueError(
                f"A map needs {_LEAST} samples or more, with vectors of {_LEAST} values or more: {field!r} has "
                f"{count(number, 'usable vector')} of {count(length, 'value')}"
            )
        if dataset.has_brain_run(brain_key):
            locks.check()
            dataset.delete_brain_run(brain_key)
        method = "umap" if importlib.util.find_spec("umap") else "pca"
        progress(f"Drawing the map ({method})", 0, 1)
        locks.check()
        made = fob.compute_visualization(
            samples,
            embeddings=dict(zip(vectors.ids, vectors.matrix, strict=True)),
            method=method,
            brain_key=brain_key,
            seed=51,
            onlyone=state,  # FiftyOne keeps it in the run's config
        )
        return MapResult(brain_key=brain_key, method=method, samples=len(made.points))


def _refuse_foreign(dataset: fo.Dataset, brain_key: str) -> None:
    if dataset.has_brain_run(brain_key) and not is_ours(dataset, brain_key):
        raise ValueError(f"The brain run {brain_key!r} is not OnlyOne's: rename or delete it")


def _state(dataset: fo.Dataset, field: str) -> str:
    """Return a digest of a field's vectors, from the digests beside them where OnlyOne made them."""
    stamps = freshness.stamps(dataset, field)
    vectors = {sample_id: stamp for sample_id, stamp in stamps.items() if stamp != freshness.ABSENT}
    return json_digest([field, freshness.made_with(dataset, field), vectors])
