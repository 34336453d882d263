"""A dataset on which clustering and keeping are done: twelve pictures, of which five are kept and one is skipped."""

import csv
import json
import uuid
from pathlib import Path

import numpy as np
import pytest

from tests import support

import fiftyone as fo  # isort: skip

KEPT, DROPPED, SKIPPED = 5, 6, 1


@pytest.fixture(scope="module")
def template():
    """The dataset, made once; its pictures do not exist."""
    made = fo.Dataset(f"template-{uuid.uuid4().hex[:10]}")
    made.add_samples([fo.Sample(filepath=f"/nowhere/{n}.png") for n in range(len(vectors()))])
    made.set_values("vgg16", vectors())
    cluster(made)
    keep_first(made)
    yield made
    fo.delete_dataset(made.name)


@pytest.fixture
def deduplicated(template, pictures):
    """``deduplicated()``: three clusters of three, two unique samples, and one without a vector."""
    every = []

    def make() -> fo.Dataset:
        made = template.clone(f"test-{uuid.uuid4().hex[:10]}")
        every.append(made)
        paths = [*pictures(scenes=3, each=3), *pictures(scenes=3, each=1, seed=7)]
        made.set_values("filepath", [str(path) for path in paths])
        return made

    yield make
    for made in [*every, *map(fo.load_dataset, fo.list_datasets("loaded-*"))]:
        made.delete()
    assert not fo.list_datasets("*-dedup-kept*")  # the temporary ones, whatever happened


def vectors() -> list[np.ndarray | None]:
    """Scene 0 three times, scene 1 three times, scene 2 three times, two others, none."""
    rng = np.random.default_rng(51)
    scenes = [np.eye(8)[scene] for scene in (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4)]
    return [*((scene + rng.uniform(0, 0.05, 8)).astype(np.float32) for scene in scenes), None]


def cluster(samples, **options):
    """Cluster with a threshold that separates the scenes."""
    chosen = support.plugin("similarity.options").ClusterOptions(eps=0.05, **options)
    return support.plugin("similarity.steps.cluster").cluster(samples, chosen)


def keep_first(samples, **options):
    """Keep the first of each cluster, and no more."""
    chosen = support.plugin("similarity.options").KeepOptions(**{"cover": False, **options})
    return support.plugin("similarity.steps.keep").keep(samples, chosen)


def delete_run(made, run_key="dedup", **options):
    """Delete a run."""
    chosen = support.plugin("similarity.handover_options").DeleteRunOptions(
        run_key=run_key, confirm=True, **options
    )
    return support.plugin("similarity.steps.delete_run").delete_run(made, chosen)


def snapshot(made: fo.Dataset) -> str:
    """All that a step must not change: schema, samples with tags and times, views, runs, info."""
    made.reload()
    return json.dumps(
        {
            "schema": {name: str(field) for name, field in made.get_field_schema(flat=True).items()},
            "samples": [str(sample.to_mongo_dict()) for sample in made.iter_samples()],
            "views": made.list_saved_views(),
            "runs": made.list_runs(),
            "brain": made.list_brain_runs(),
            "info": str(made.info),
            "datasets": [name for name in fo.list_datasets() if not name.startswith("loaded-")],
        }
    )


@pytest.fixture
def target(tmp_path):
    """A folder that does not exist, in a folder that does not exist."""
    return tmp_path / "out" / "export"


def export(samples, folder, report=None, **options):
    """Run the export step."""
    chosen = support.plugin("similarity.handover_options").ExportOptions(export_dir=str(folder), **options)
    step = support.plugin("similarity.steps.export").export
    return step(samples, chosen, report) if report else step(samples, chosen)


def manifest(folder: Path) -> list[dict[str, str]]:
    """The rows of a written manifest."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(folder: Path, kind: str) -> fo.Dataset:
    """Read an export back with FiftyOne's own importer; the dataset is deleted after the test."""
    name = f"loaded-{uuid.uuid4().hex}"
    return fo.Dataset.from_dir(str(folder), getattr(fo.types, kind), name=name)
