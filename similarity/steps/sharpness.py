"""The sharpness of the pictures of a run: as it was stored with their vectors, else measured now and stored."""

from typing import Any

from ..data import samples as sm
from ..data.embeddings import FieldNames, declare_sharpness, refuse_foreign_field
from ..data.locks import lock
from ..data.names import Names
from ..engine import images
from ..progress import Progress

_FLUSH = 1_000  # pictures between two writes


def sharpness(
    samples: sm.Samples, field: str, run_key: str, progress: Progress
) -> tuple[list[str], list[float | None]]:
    """Return ids and sharpness, None where a picture cannot be read.

    Args:
        field: the embeddings field, beside which it is stored
        run_key: the run; one of copies owns the field, since nothing else says there that a picture has changed

    Raises:
        ValueError: if the field for it is somebody else's
        Busy: if something is to be measured, while another operator is at work on the embeddings field
    """
    dataset, names = sm.dataset_of(samples), FieldNames(field)
    refuse_foreign_field(dataset, names, names.sharpness)
    ids, paths = sm.read(samples, "filepath")
    known: dict[str, Any] = {}
    if dataset.has_sample_field(names.sharpness):
        known = dict(zip(*sm.read(samples, names.sharpness), strict=True))
    missing = {i: path for i, path in zip(ids, paths, strict=True) if known.get(i) is None}
    if missing:
        with lock(dataset, f"field-{field}"):
            own = {"run_key": run_key} if names.sharpness in Names(run_key).bytes else {}
            declare_sharpness(dataset, names, **own)
            pending: dict[str, float | None] = {}
            pictures = zip(missing, images.read_many(missing.values()), strict=True)
            try:
                for done, (i, picture) in enumerate(pictures):
                    progress("Measuring sharpness", done, len(missing))
                    known[i] = pending[i] = picture.sharpness
                    if len(pending) == _FLUSH:
                        sm.write(dataset, {names.sharpness: pending})
                        pending = {}
            finally:
                sm.write(dataset, {names.sharpness: pending})  # also when cancelled
    return ids, [known[i] for i in ids]
