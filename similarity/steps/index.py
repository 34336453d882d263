"""An Annoy index as a FiftyOne Brain run, which the App's own similarity search then uses."""

import time
from dataclasses import dataclass

import fiftyone as fo
import fiftyone.brain as fob

from .. import load_index, register_backend
from ..data import locks
from ..data import samples as sm
from ..data.files import with_names
from ..data.locks import lock
from ..data.vectors import check_vector_field, read_vectors
from ..progress import Progress, silent
from ..result import SkippingResult, count
from ..search_options import IndexOptions

BACKEND = "annoy"
LARGE = 1_000_000  # samples from which a vector database serves better than one file in one process


@dataclass(frozen=True, kw_only=True)
class IndexResult(SkippingResult):
    """The index that ``build_similarity_index`` built.

    Attributes:
        brain_key: name of the index
        embeddings_field: the field whose vectors it holds
        samples: number of the dataset's samples
        indexed: how many of them the index holds: those with a usable vector
        exact: whether searches are exact because Annoy does not work here
        seconds: how long it took
    """

    brain_key: str
    embeddings_field: str
    samples: int
    indexed: int
    exact: bool
    seconds: float

    def lines(self) -> list[str]:
        """Return the result in words."""
        lines = [
            f"The similarity index {self.brain_key!r} holds {count(self.indexed, 'sample')} "
            f"(built in {self.seconds:.1f} s). Select a picture and press the similarity button."
        ]
        if self.exact:
            lines.append("Annoy does not work on this machine; searches compare every sample, exactly.")
        if self.indexed >= LARGE:
            lines.append(
                "For so many samples a vector database of FiftyOne's serves better, on the same field: fiftyone.brain."
                f"compute_similarity(dataset, embeddings={self.embeddings_field!r}, brain_key=..., backend='lancedb', "
                "metric='cosine'), or 'qdrant', 'milvus' ..."
            )
        return lines


def index(samples: sm.Samples, options: IndexOptions, progress: Progress = silent) -> IndexResult:
    """Build the index over the vectors of the samples' dataset; an earlier one of ours with the key is replaced.

    The index covers the whole dataset, since a search can be restricted to any view of it later.

    Raises:
        ValueError: if the field cannot be used, or the brain key is somebody else's
        Busy: if another operator is at work on the index
    """
    dataset, started = sm.dataset_of(samples), time.monotonic()
    with lock(dataset, f"brain-{options.brain_key}"):
        check(samples, options)
        progress("Building the index", 0, 1)
        status = _build(dataset, options).status
        return IndexResult(
            brain_key=options.brain_key,
            embeddings_field=options.embeddings_field,
            samples=status.built + len(status.skipped),
            indexed=status.built,
            **with_names(dataset, status.skipped),
            exact=status.exact,
            seconds=round(time.monotonic() - started, 3),
        )


def check(samples: sm.Samples, options: IndexOptions) -> None:
    """Refuse, before a vector is read, samples, a field or a brain key that cannot be used.

    Raises:
        ValueError: as :func:`index` does
    """
    dataset, key = sm.dataset_of(sm.flat(samples)), options.brain_key
    if dataset.has_brain_run(key) and dataset.get_brain_info(key).config.method != BACKEND:
        raise ValueError(
            f"The brain key {key!r} is not OnlyOne's: choose another brain_key, or delete that run"
        )
    check_vector_field(dataset, options.embeddings_field)


def _existing(dataset: fo.Dataset, options: IndexOptions):
    """Return the index of these very options; None if there is none, or it was never finished, or is damaged."""
    if not dataset.has_brain_run(options.brain_key):
        return None
    config, asked = dataset.get_brain_info(options.brain_key).config, options.to_dict()
    if any(getattr(config, name, None) != asked[name] for name in asked.keys() - {"brain_key"}):
        return None
    try:
        return load_index(dataset, options.brain_key)
    except ValueError:
        return None


def _build(dataset: fo.Dataset, options: IndexOptions):
    """Register the run and build; a failure leaves no key behind.

    A run of the same options stays registered and only its forest is built anew: nobody who searches meanwhile finds
    that there is no index.
    """
    register_backend()
    locks.check()
    if dataset.has_brain_run(options.brain_key):
        read_vectors(dataset, options.embeddings_field)  # without one, the earlier index stays
    known = _existing(dataset, options)
    if known is not None:
        known.rebuild()
        return known
    if dataset.has_brain_run(options.brain_key):
        dataset.delete_brain_run(options.brain_key)
    try:
        built = fob.compute_similarity(
            dataset,
            embeddings=options.embeddings_field,
            brain_key=options.brain_key,
            backend=BACKEND,
            n_trees=options.n_trees,
            search_k=options.search_k,
            seed=options.seed,
        )
        if not built.total_index_size:
            read_vectors(dataset, options.embeddings_field)  # which says why none can be used
        return built
    except BaseException:
        locks.check()  # the run may be another process's by now
        if dataset.has_brain_run(options.brain_key):
            dataset.delete_brain_run(options.brain_key)
        raise
