"""The view sorted by similarity to selected samples, or to a picture that is not in the dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F

from .. import load_index
from ..data import samples as sm
from ..data.files import file_names
from ..data.locks import lock
from ..data.vectors import check_vector_field
from ..engine import images, vgg16
from ..engine.vectors import percent as similarity_percent
from ..progress import Progress, silent
from ..result import Result, count, view_field
from ..search_options import IndexOptions, SortOptions
from .index import BACKEND
from .index import index as build

LISTED = 25  # of the found samples, in the table
MOST_SHOWN = 1_000  # percentages in a view: each sample is looked up among them


@dataclass(frozen=True, kw_only=True)
class SortResult(Result):
    """The samples that ``sort_by_similarity`` found.

    Attributes:
        similarity_field: the field with the percentages
        newer: number of samples that have got a vector since the index was built, and are not found
        changed: number of samples whose vector has changed since, and which are not found
        advice: the remedy for these; ``""`` where there are none
        neighbors: sample id -> similarity in percent, of the found samples, the most similar first
        files: sample id -> its file's name, of the first of them
        view: the same as a view, in that order
    """

    similarity_field: str
    newer: int
    changed: int
    advice: str
    neighbors: dict[str, float]
    files: dict[str, str]
    view: fo.DatasetView | None = view_field()

    def summary(self) -> str:
        """Return the result in words."""
        if not self.neighbors:
            return " ".join(["No sample of the view is in the index.", self.advice]).strip()
        near = list(self.neighbors.values())
        found = (
            f"{count(len(near), 'sample')} by similarity, from {near[0]:.1f} % to {near[-1]:.1f} %; the percentages are "
            f"in the field {self.similarity_field!r}."
        )
        return f"{found} {self.advice}".strip()

    def tables(self) -> dict[str, list[dict[str, str]]]:
        """Return the table of the nearest samples."""
        listed = islice(self.neighbors.items(), LISTED)
        return {"nearest": [{"picture": self.files[i], "similarity": f"{near:.2f} %"} for i, near in listed]}


def check(
    samples: sm.Samples,
    options: SortOptions,
    selected: Sequence[str] = (),
    content: bytes | None = None,
) -> None:
    """Refuse, before a picture or a vector is read, a search for nothing, and fields that cannot be used.

    Raises:
        ValueError: as :func:`sort` does
    """
    dataset, field = sm.dataset_of(sm.flat(samples)), options.similarity_field
    picture = content is not None or options.picture is not None
    if not selected and not picture:
        raise ValueError("Nothing to search for: select one or more samples in the grid, or give a picture")
    vectors = IndexOptions().embeddings_field
    if dataset.has_brain_run(options.brain_key):
        config = dataset.get_brain_info(options.brain_key).config
        if getattr(config, "method", None) != BACKEND:
            load_index(dataset, options.brain_key)  # raises, and names the remedy
        vectors = config.embeddings_field
    check_vector_field(dataset, vectors)
    if picture:
        _provenance(dataset, vectors)
    if dataset.has_sample_field(field) and not sm.provenance(dataset, field).get("search"):
        raise ValueError(
            f"The field {field!r} exists and was not made by sort_by_similarity: choose another similarity_field"
        )


def sort(
    samples: sm.Samples,
    options: SortOptions,
    progress: Progress = silent,
    selected: Sequence[str] = (),
    content: bytes | None = None,
) -> SortResult:
    """Find the samples most similar to the selected ones, or to a picture; without an index, build it first.

    Args:
        selected (()): ids of samples to search for; several are searched for by the mean of their directions. A
            picture, if given, takes their place
        content (None): the bytes of a picture file, instead of ``options.picture``

    Raises:
        ValueError: if there is nothing to search for, no vectors for an index, the picture cannot be read, or the field is
            somebody else's
        Busy: if another search is writing the same field
    """
    dataset, picture = sm.dataset_of(samples), content if content is not None else options.picture
    check(samples, options, selected, content)
    if not dataset.has_brain_run(options.brain_key):
        build(samples, IndexOptions(brain_key=options.brain_key), progress)
    with lock(dataset, f"field-{options.similarity_field}"):
        samples = sm.flat(samples)
        found_index = load_index(dataset, options.brain_key)
        progress("Searching", 0, 1)
        query = list(selected)
        if picture is not None:
            query = embed_like(dataset, found_index.config.embeddings_field, picture)
        within = None if isinstance(samples, fo.Dataset) else sm.read(samples)[0]
        nearest = found_index.nearest(query, options.k, within_ids=within)
        status = found_index.status
        neighbors = {sample_id: similarity_percent(distance) for sample_id, distance in nearest}
        if not dataset.has_sample_field(options.similarity_field):
            told = "Similarity in percent to the query, in the view that a search shows"
            sm.declare_field(dataset, options.similarity_field, fo.FloatField, told, {"search": True})
        return SortResult(
            similarity_field=options.similarity_field,
            newer=status.newer,
            changed=status.changed,
            advice=status.advice(),
            neighbors=neighbors,
            files=file_names(dataset, list(neighbors)[:LISTED]),
            view=_shown(samples, options.similarity_field, neighbors),
        )


def embed_like(dataset: fo.Dataset, field: str, picture: str | bytes) -> np.ndarray:
    """Return the vector ``(d,)`` of a picture, a path or the bytes of a file, embedded as the field was.

    Raises:
        ValueError: if the field's provenance does not say how, its weights are not to be had any more, or the picture
            cannot be read
    """
    info = _provenance(dataset, field)
    try:
        pixels = images.decode(Path(picture).expanduser() if isinstance(picture, str) else picture)
    except images.UnreadableImage as error:
        name = repr(picture) if isinstance(picture, str) else "uploaded"
        raise ValueError(f"The picture {name} cannot be searched for: {error}") from error
    how = {"layer": info["layer"], "weights": info["weights_source"], "precision": info["precision"]}
    for key, now in vgg16.provenance(**how).items():
        if info.get(key) != now:
            raise ValueError(
                f"The vectors in {field!r} were made with {key} {info.get(key)!r}, and those of this machine have {now!r}: "
                "run compute_embeddings with recompute=True, then search again"
            )
    model = vgg16.load(**how)
    return model.embed(pixels[None])[0]


def _provenance(dataset: fo.Dataset, field: str) -> dict[str, Any]:
    """Return the provenance of a field's vectors, to embed another picture alike."""
    info = sm.provenance(dataset, field)
    if "layer" not in info:
        raise ValueError(
            f"OnlyOne did not write {field!r}, so a picture from outside cannot be embedded as its vectors were. "
            "Select a sample instead, or build an index over a field of compute_embeddings"
        )
    return info


def _shown(samples: sm.Samples, field: str, neighbors: Mapping[str, float]) -> fo.DatasetView:
    """Show the neighbors, the nearest first, with percentages that go when the view is left."""
    view = samples.select(list(neighbors), ordered=True)
    near = dict(islice(neighbors.items(), MOST_SHOWN))
    return view.set_field(field, F("_id").to_string().map_values(near)) if near else view
