"""A dataset that cost somebody money, deduplicated: twelve labelled pictures, of which six are left out."""

import os
import uuid
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from tests import support
from tests.deduplicated import cluster, keep_first, vectors

import fiftyone as fo  # isort: skip
import fiftyone.operators as foo  # isort: skip

ALL, KEPT, DROPPED = 12, 5, 6
FIELD = "vgg16"


@pytest.fixture(scope="session")
def precious():
    """The dataset, made once; its pictures do not exist."""
    made = fo.Dataset(f"template-{uuid.uuid4().hex[:10]}")
    made.add_samples([_labelled(n, vector) for n, vector in enumerate(vectors())])
    made.info["owner"] = "somebody"
    made.save()
    made.save_view("mine", made.match_tags("seen"), description="what I have seen")
    _declare_embeddings(made)
    cluster(made)
    keep_first(made)
    yield made
    fo.delete_dataset(made.name)


def _labelled(n: int, vector: np.ndarray | None) -> fo.Sample:
    box = [0.1, 0.1, 0.5, 0.5]
    sample = fo.Sample(filepath=f"/nowhere/{n:02d}.png", tags=["seen", f"batch{n % 2}"] if n % 3 else [])
    sample["vgg16"] = vector
    sample["truth"] = fo.Detections(
        detections=[
            fo.Detection(
                label=f"c{i}", bounding_box=box, mood="calm", mask=np.eye(4, dtype=bool), tags=["checked"]
            )
            for i in range(n % 3)
        ]
    )
    sample["weather"] = fo.Classification(label="rain", confidence=float("nan")) if n % 2 else None
    sample["camera"] = {"make": "x", "lens": [n, 2.5]}
    sample["taken"] = datetime(2020, 1, 1 + n)
    sample["note"] = "look again" if n == 4 else None
    return sample


def _declare_embeddings(made: fo.Dataset) -> None:
    """Make the vectors look as if compute_embeddings had made them."""
    samples = support.plugin("similarity.data.samples")
    info = {"model": "vgg16", "layer": "block5_mean", "weights": "untrained", "precision": "float32"}
    samples.declare_field(made, FIELD, fo.VectorField, "VGG16 embeddings", info)
    for ending in ("digest", "file", "error"):
        name = f"{FIELD}_{ending}"
        samples.declare_field(made, name, fo.StringField, ending, {"beside": FIELD})


@pytest.fixture
def removable(precious, tmp_path):
    """``removable()``: a dataset with files of its own, ready for remove_duplicates."""
    names = []

    def make(folder: Path | None = None) -> fo.Dataset:
        made = copy_of(precious, folder or tmp_path / f"pictures-{uuid.uuid4().hex[:6]}")
        names.append(made.name)
        return made

    yield make
    delete(names)


def copy_of(precious: fo.Dataset, folder: Path) -> fo.Dataset:
    """A dataset with the ids, fields and runs of another, whose files are written into a folder."""
    made = precious.clone(f"test-{uuid.uuid4().hex[:10]}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n:02d}.png" for n in range(len(made))]
    for n, path in enumerate(paths):
        path.write_bytes(bytes([n]) * 50 + b"picture")
        os.utime(path, (1_600_000_000 + n, 1_600_000_000 + n))
    ids = sorted(made.values("id"))
    made.set_values("filepath", dict(zip(ids, map(str, paths), strict=True)), key_field="id")
    if made.has_sample_field(FIELD):
        mark_embedded(made, ids)
    return made


def mark_embedded(made: fo.Dataset, ids) -> None:
    """Write, as compute_embeddings does, which file the vectors are of."""
    digest, mark = (
        support.plugin("similarity.engine.images").digest,
        support.plugin("similarity.engine.images").file_mark,
    )
    every = dict(zip(*made.values(["id", "filepath"]), strict=True))
    paths = {i: every[i] for i in ids}
    made.set_values(f"{FIELD}_digest", {i: digest(path) for i, path in paths.items()}, key_field="id")
    made.set_values(f"{FIELD}_file", {i: mark(path) for i, path in paths.items()}, key_field="id")


def delete(names: list[str]) -> None:
    """Delete datasets and their archives."""
    for name in names:
        for found in fo.list_datasets(f"{name}*"):
            fo.delete_dataset(found)


def call(name: str, samples, **options):
    """Call an operator from Python: its result."""
    return foo.get_operator(support.uri(name))(samples, **options)


def dropped(made: fo.Dataset) -> list[str]:
    """Ids of the samples that the run leaves out, sorted."""
    return sorted(made.match(fo.ViewField("dedup_kept") == False).values("id"))  # noqa: E712


def kept_for(made: fo.Dataset, sample_id: str) -> str:
    """Id of the sample that is kept for another one."""
    return made[sample_id]["dedup_kept_id"]


def trashed(folder: Path) -> dict[str, Path]:
    """The files of a folder that are in the trash: where each was -> where it is."""
    trash, found = Path(os.environ["XDG_DATA_HOME"]) / "Trash", {}
    for info in sorted((trash / "info").glob("*.trashinfo")):
        line = next(line for line in info.read_text().splitlines() if line.startswith("Path="))
        origin = Path(os.environ["XDG_DATA_HOME"], unquote(line.removeprefix("Path=")))
        if origin.is_relative_to(folder) and (trash / "files" / info.stem).exists():
            found[str(origin)] = trash / "files" / info.stem
    return found
