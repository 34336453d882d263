"""A map of the vectors in two dimensions, which FiftyOne's own Embeddings panel draws."""

import importlib.util
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.brain as fob

from ..data import locks
from ..data import samples as sm
from ..data.vectors import check_vector_field
from ..progress import Progress, silent
from ..result import Result, count


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


def is_current(dataset: fo.Dataset, field: str, brain_key: str) -> bool:
    """Return whether a map shows the samples that have vectors now.

    Raises:
        ValueError: if something else has the map's name
    """
    if not dataset.has_brain_run(brain_key):
        return False
    config = dataset.get_brain_info(brain_key).config
    if getattr(config, "embeddings_field", None) != field or config.type != "visualization":
        raise ValueError(f"The brain run {brain_key!r} is not a map of {field!r}: rename or delete it")
    found = dataset.load_brain_results(brain_key)
    return found is not None and set(found.sample_ids) == set(dataset.exists(field).values("id"))


def draw_map(dataset: fo.Dataset, field: str, brain_key: str, progress: Progress = silent) -> MapResult:
    """Make a visualization of a field's vectors: by UMAP where it is installed, and else by PCA.

    Raises:
        ValueError: if the field holds no vectors, or something else has the map's name
        Busy: if it is being made
    """
    check_vector_field(dataset, field)
    with locks.lock(dataset, f"brain-{brain_key}"):
        if dataset.has_brain_run(brain_key) and not is_current(dataset, field, brain_key):
            locks.check()
            dataset.delete_brain_run(brain_key)
        method = "umap" if importlib.util.find_spec("umap") else "pca"
        samples = sm.everything(dataset).exists(field)
        progress(f"Drawing the map ({method})", 0, 1)
        locks.check()
        made = fob.compute_visualization(
            samples, embeddings=field, method=method, brain_key=brain_key, seed=51
        )
        return MapResult(brain_key=brain_key, method=method, samples=len(made.points))
