"""Two processes with homes of their own at one dataset, in random interleavings: nothing is lost.

Twenty runs; ``INTERLEAVINGS=1000`` (``make torture``) takes more.
"""

import os
import random
import time
import uuid

import pytest

from tests import mortal
from tests.host.compare import differences, samples
from tests.removable import call, copy_of

import fiftyone as fo  # isort: skip
import fiftyone.core.odm as foo  # isort: skip

RUNS = int(os.environ.get("INTERLEAVINGS", "20"))
AT_ONCE = 10  # datasets that the two processes work on side by side

CLUSTER, KEEP = ["cluster_duplicates", {"eps": 0.05}], ["keep_first_per_cluster", {}]
REMOVE, RESTORE = ["remove_duplicates", {"confirm": True}], ["restore_removed", {}]
DELETE = ["delete_run", {"confirm": True}]
FORGET, RENAME_RUN = (
    ["forget_run", {"key": "dedup"}],
    ["rename_run", {"key": "dedup", "new": "better"}],
)
RENAME_BACK = ["rename_run", {"key": "better", "new": "dedup"}]
OURS = ["dedup_cluster", "dedup_kept", "dedup_kept_id", "dedup_similarity"]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    running = [mortal.Mortals(tmp_path_factory.mktemp(f"home{n}")) for n in range(2)]
    yield running
    for process in running:
        process.close()


def deeds(rng: random.Random, name: str, mostly: list) -> list:
    """What one process does: mostly one of removing and restoring, which move samples."""
    rename = ["rename", {"name": f"{name}-{rng.randrange(100)}"}]
    rare = [[DELETE], [CLUSTER, KEEP], [KEEP], [FORGET], [RENAME_RUN], [RENAME_BACK], [rename]]
    chosen = [[mostly]] * 8 + [[REMOVE], [RESTORE]] + rare
    return [step for _ in range(4) for step in rng.choice(chosen)]


def a_persons(found: dict) -> dict:
    """Samples without the tags that a run writes."""
    for values in found.values():
        values["tags"] = [tag for tag in values["tags"] if not tag.startswith("dedup:")]
    return found


def stores(dataset_id) -> list[fo.Dataset]:
    """Every archive of a dataset."""
    database = foo.get_db_conn()
    ids = database["onlyone.archives"].distinct("store_id", {"dataset_id": dataset_id})
    return [fo.load_dataset(found["name"]) for found in database.datasets.find({"_id": {"$in": ids}})]


def current(dataset_id) -> fo.Dataset:
    """A dataset by its id, whatever its name is by now."""
    return mortal.load(str(dataset_id))


def lost(dataset_id, before: dict) -> list[str]:
    """What of a person's is neither in the dataset nor in an archive, and what does not come back."""
    archived = [a_persons(samples(store, omit=OURS)) for store in stores(dataset_id)]
    here = a_persons(samples(current(dataset_id), omit=OURS))
    found = {sample_id: values for place in [*archived, here] for sample_id, values in place.items()}
    faults = differences(before, found)
    if any(archived):
        call("restore_removed", current(dataset_id))
    back = a_persons(samples(current(dataset_id), omit=OURS))
    return [*faults, *(f"not back: {line}" for line in differences(before, back))]


def orphans() -> list[str]:
    """Collections of samples that no dataset names."""
    db = foo.get_db_conn()
    known = set(db.datasets.distinct("sample_collection_name"))
    names = [name for name in db.list_collection_names() if name.startswith("samples.")]
    return [name for name in names if name not in known and db[name].find_one()]


@pytest.mark.parametrize("batch", range(-(-RUNS // AT_ONCE)))
def test_whatever_two_processes_do_at_once_every_sample_is_there_and_comes_back(
    two, precious, tmp_path, batch
):
    made = [copy_of(precious, tmp_path / uuid.uuid4().hex[:6]) for _ in range(AT_ONCE)]
    before = {one._doc.id: a_persons(samples(one, omit=OURS)) for one in made}
    start = time.time() + 0.3
    for number, process in enumerate(two):
        rngs = [random.Random(f"{batch} {n} {number}") for n in range(AT_ONCE)]
        process.begin(
            *(
                {
                    "dataset": str(one._doc.id),
                    "steps": deeds(rng, one.name, (REMOVE, RESTORE)[number]),
                    "start": start,
                    "pace": rng.randrange(2**32),
                    "anyway": True,
                }
                for one, rng in zip(made, rngs, strict=True)
            )
        )
    outcomes = [outcome for process in two for outcome in process.end()]
    faults = [f"{n}: {fault}" for n, (i, known) in enumerate(before.items()) for fault in lost(i, known)]
    faults += [outcome.error for outcome in outcomes if outcome.error]
    for dataset_id in before:
        for one in [*stores(dataset_id), current(dataset_id)]:
            one.delete()
    assert faults + orphans() == []
