"""The ``annoy`` similarity backend of FiftyOne's Brain.

FiftyOne stores the paths of these classes in every dataset with an ``annoy`` index, and finds the second by the name of
the first: module path and names are frozen. The method names and arguments are FiftyOne's too; they are documented in
``fiftyone.brain.similarity``.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin, Similarity, SimilarityConfig, SimilarityIndex

from .data import samples as sm
from .data.freshness import clear_digests
from .data.home import identity
from .data.locks import lock
from .index.query import NeighborQueries, Query, check_comparable, complain
from .index.state import current
from .index.store import IndexFolder, IndexSettings
from .search_options import IndexOptions

_DEFAULTS = IndexOptions()


class AnnoySimilarityConfig(SimilarityConfig):
    """The configuration of an index.

    Args:
        n_trees (50): the number of Annoy's trees; more is more exact, slower to build and larger
        search_k (-1): number of items that a search visits; -1 chooses it so that the measured recall is high
        **kwargs: ``embeddings_field`` and the other arguments of FiftyOne's own config

    Raises:
        ValueError: if an option is out of bounds
    """

    method = "annoy"
    max_k = None  # there is no bound on the number of neighbors
    supports_least_similarity = False
    supported_aggregations = ("mean",)

    def __init__(
        self,
        n_trees=_DEFAULTS.n_trees,
        search_k=_DEFAULTS.search_k,
        seed=_DEFAULTS.seed,
        metric="cosine",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if metric != "cosine":
            raise ValueError(f"the annoy backend measures cosine distances only, not {metric!r}")
        options = IndexOptions(n_trees=n_trees, search_k=search_k, seed=seed)
        self.n_trees, self.search_k, self.seed = options.n_trees, options.search_k, options.seed
        self.metric = metric


class AnnoySimilarity(Similarity):
    """Makes, renames and deletes indexes."""

    def ensure_requirements(self):
        """Refuse unsupported requests, before FiftyOne registers the run; Annoy itself may be missing."""
        if self.config.patches_field is not None or self.config.roi_field is not None:
            raise ValueError(
                "the annoy backend compares whole samples; leave out patches_field and roi_field, "
                "or use backend='sklearn'"
            )
        if self.config.embeddings_field is None:
            raise ValueError(
                "the annoy backend needs a field with the vectors: run compute_embeddings, then pass embeddings='vgg16'"
            )
        if "." in self.config.embeddings_field:
            raise ValueError(
                f"the annoy backend needs a field of the samples, not {self.config.embeddings_field!r} within another one: "
                "copy the vectors into a field of their own, or use backend='sklearn'"
            )

    def initialize(self, samples, brain_key):
        """Return the index, built from the vectors in the field."""
        return AnnoySimilarityIndex(samples, self.config, brain_key, backend=self, build=True)

    def rename(self, samples, key, new_key):
        """Move the index's files."""
        IndexFolder.of(sm.dataset_of(samples), key).rename(new_key)

    def cleanup(self, samples, key):
        """Delete the index's files."""
        IndexFolder.of(sm.dataset_of(samples), key).delete()


class AnnoySimilarityIndex(NeighborQueries, SimilarityIndex, DuplicatesMixin):
    """A similarity index whose vectors are a field of the dataset, and whose forest is a cache of them.

    Samples removed from the field, or with another vector there, are not found; added samples are found after
    :meth:`rebuild`. ``status`` counts them. Distances are cosine distances, in [0, 2].
    """

    is_external = False  # the vectors are in the field

    def __init__(self, samples, config, brain_key, backend=None, build=False):
        self._dataset = sm.dataset_of(samples)
        self._settings = IndexSettings(config.embeddings_field, config.n_trees, config.search_k, config.seed)
        if brain_key is None:  # its files could not be found again
            self._temporary = TemporaryDirectory(prefix="onlyone-", ignore_cleanup_errors=True)
            self._folder = IndexFolder(Path(self._temporary.name), identity(self._dataset))
        else:
            self._folder = IndexFolder.of(self._dataset, brain_key)
        if build:
            self._folder.build(self._dataset, self._settings)
        self._state = self._current()
        SimilarityIndex.__init__(self, samples, config, brain_key, backend=backend)
        DuplicatesMixin.__init__(self)

    @classmethod
    def _from_dict(cls, d, samples, config, brain_key):
        return cls(samples, config, brain_key)

    @property
    def sample_ids(self):
        """The ids of the samples that can be found."""
        return self._state.ids

    @property
    def total_index_size(self):
        """The number of samples that can be found."""
        return len(self._state.ids)

    @property
    def status(self):
        """The differences of the index and its field now, as an :class:`IndexStatus`."""
        self._refresh()
        return self._state.status

    def rebuild(self, progress=None):
        """Build the forest again from the current field.

        Args:
            progress (None): called with ``(done, total)``; may raise to cancel, the old forest then stays
        """
        self._folder.build(self._dataset, self._settings, progress)
        self.reload()

    def reload(self):
        """Look for changes of the field and of the current view."""
        self._state = self._current()
        super().reload()

    def cleanup(self):
        """Delete the index's files."""
        self._folder.delete()

    def nearest(self, query, k=None, *, within_ids=None):
        """Return the samples most similar to a query, as ``(sample id, cosine distance)``, nearest first.

        Args:
            query: a sample id; several, whose unit vectors are averaged; or a vector. The query's own samples
                come first, a single one at distance zero
            k (None): number of samples, all when None
            within_ids (None): the ids of the samples that may be returned, all when None

        Raises:
            ValueError: if a sample of the query is not in the index, or a vector cannot be compared
        """
        self._refresh()
        asked = Query.parse(self._state, query)
        inside = None
        if within_ids is not None:
            inside = np.isin(self._state.ids, np.array(list(within_ids), dtype=np.str_))
        first = None if asked.positions is None else np.unique(asked.positions)
        found, distances = self._state.nearest(asked.mean, k, allowed=inside, first=first)
        return list(zip(self._state.ids[found].tolist(), distances.tolist(), strict=True))

    def get_embeddings(self, sample_ids=None, label_ids=None, allow_missing=True, warn_missing=False):
        """Return the vectors of samples, all when None, with their ids, in the requested order."""
        self._refresh()
        if sample_ids is None and label_ids is None:
            return self._state.vectors(), self._state.ids.copy(), None
        positions = self._positions(sample_ids, label_ids, allow_missing, warn_missing)
        return self._state.vectors(positions), self._state.ids[positions], None

    def add_to_index(
        self,
        embeddings,
        sample_ids,
        label_ids=None,
        overwrite=True,
        allow_existing=True,
        warn_existing=False,
        reload=True,
    ):
        """Write vectors into the field and, with ``reload``, build the forest again."""
        self._refresh()
        ids, vectors = np.asarray(sample_ids, dtype=np.str_), np.asarray(embeddings, dtype=np.float32)
        if not overwrite:
            existing = np.isin(ids, self._state.ids)
            complain(ids[existing], "are already present in the index", allow_existing, warn_existing)
            ids, vectors = ids[~existing], vectors[~existing]
        if not len(ids):
            return
        check_comparable(self._state, vectors)
        field = self._settings.embeddings_field
        with lock(self._dataset, f"field-{field}"):
            fbu.add_embeddings(self._dataset, vectors, ids.tolist(), None, field)
            clear_digests(self._dataset, field, ids.tolist())
        if reload:
            self.rebuild()

    def remove_from_index(
        self, sample_ids=None, label_ids=None, allow_missing=True, warn_missing=False, reload=True
    ):
        """Clear vectors in the field."""
        self._refresh()
        positions = self._positions(sample_ids, label_ids, allow_missing, warn_missing)
        if not len(positions):
            return
        found = self._state.ids[positions].tolist()
        field = self._settings.embeddings_field
        with lock(self._dataset, f"field-{field}"):
            fbu.remove_embeddings(self._dataset, field, sample_ids=found)
            clear_digests(self._dataset, field, found)
        if reload:
            self.reload()

    def sort_by_similarity(self, *args, **kwargs):
        """Return FiftyOne's sorted view, by the current field."""
        self._refresh()
        return super().sort_by_similarity(*args, **kwargs)

    def find_duplicates(self, *args, **kwargs):
        """Find duplicates as FiftyOne does, exactly, in the current field."""
        self._refresh()
        super().find_duplicates(*args, **kwargs)

    def find_unique(self, *args, **kwargs):
        """Find unique samples as FiftyOne does, exactly, in the current field."""
        self._refresh()
        super().find_unique(*args, **kwargs)

    def _positions(self, sample_ids, label_ids, allow_missing, warn_missing):
        """Return the positions of samples, in the requested order, without missing samples."""
        if label_ids is not None:
            raise ValueError("this index holds whole samples and has no label IDs")
        ids = [sample_ids] if isinstance(sample_ids, str) else list(() if sample_ids is None else sample_ids)
        known = self._state.position_of
        missing = [sample_id for sample_id in ids if sample_id not in known]
        complain(missing, "are not present in the index", allow_missing, warn_missing)
        return np.array([known[sample_id] for sample_id in ids if sample_id in known], dtype=np.int64)

    def _refresh(self):
        """Look for changes of the field; the current view is applied again only if there are any."""
        state = self._current()
        if state is not self._state:
            self._state = state
            super().reload()

    def _current(self):
        return current(self._folder, self._dataset, self._settings)
