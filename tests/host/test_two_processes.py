"""Two processes at the same dataset: two tabs, or a tab and a delegated worker."""

import itertools
import time
from pathlib import Path

import pytest

from tests import mortal
from tests.host.compare import differences, samples, state
from tests.removable import DROPPED, FIELD, copy_of, delete

import fiftyone as fo  # isort: skip


@pytest.fixture
def together(mortals):
    """``together(dataset, steps, steps)``: what became of processes that do these at the same moment."""

    def run(made: fo.Dataset, *each: list) -> list[mortal.Outcome]:
        start = time.time() + 0.5
        return mortals.run(*({"dataset": made.name, "steps": steps, "start": start} for steps in each))

    return run


def errors(outcomes: list[mortal.Outcome]) -> list[str]:
    return [outcome.error for outcome in outcomes if outcome.error is not None]


def alone(precious: fo.Dataset, folder: Path, mortals, steps: list) -> dict:
    """The state that steps lead to when nobody else is at work."""
    twin = copy_of(precious, folder)
    outcome = mortals.run({"dataset": twin.name, "steps": steps})[0]
    assert outcome.error is None
    found = state(twin)
    delete([twin.name])
    return found


def paths_apart(found: dict) -> dict:
    for values in found["samples"].values():
        values["filepath"] = Path(values["filepath"]).name
    return found


COARSE = [["cluster_duplicates", {"eps": 0.5}], ["keep_first_per_cluster", {}]]
FINE = [["cluster_duplicates", {"eps": 0.001}], ["keep_first_per_cluster", {"descending": True}]]


@pytest.fixture(scope="module")
def in_turn(precious, mortals, tmp_path_factory):
    """The states that nobody else's work leads to, clustering by one's options and keeping by either's."""
    folder = tmp_path_factory.mktemp("alone")
    found = [
        paths_apart(alone(precious, folder / str(number), mortals, list(steps)))
        for number, steps in enumerate(itertools.product(*zip(COARSE, FINE, strict=True)))
    ]
    assert all(differences(*two) for two in itertools.combinations(found, 2))
    return found


@pytest.mark.parametrize("attempt", range(3))
def test_two_tabs_clustering_under_one_run_key_end_with_a_result_that_one_after_the_other_could_have(
    removable, together, in_turn, attempt
):
    made = removable()
    outcomes = together(made, COARSE, FINE)
    assert all("at work" in error or "run cluster_duplicates" in error for error in errors(outcomes))
    now = paths_apart(state(made))
    assert [] in [differences(expected, now) for expected in in_turn]
    assert_consistent(made)


def assert_consistent(made: fo.Dataset) -> None:
    """Fields, tags, record and results of the run tell the same story."""
    made.reload()
    runs = made.get_run_info("dedup").config.record["steps"]
    clusters, kept, tags, vectors = made.values(["dedup_cluster", "dedup_kept", "tags", FIELD])
    assert len({c for c in clusters if c is not None and c >= 0}) == runs["cluster"]["clusters"]
    assert kept.count(True) == runs["keep"]["kept"]
    assert kept.count(False) == runs["keep"]["dropped"]
    for cluster, choice, names, vector in zip(clusters, kept, tags, vectors, strict=True):
        assert (cluster is None) == (vector is None)
        numbers = [name for name in names if name.startswith("dedup:cluster:")]
        assert numbers == ([] if cluster in (None, -1) else [f"dedup:cluster:{cluster:04d}"])
        assert ("dedup:duplicate" in names) == (choice is False)


def test_two_tabs_removing_remove_every_sample_once(removable, together):
    made = removable()
    before = samples(made)
    steps = [["remove_duplicates", {"confirm": True}]]
    outcomes = together(made, steps, steps)
    assert all("at work" in error for error in errors(outcomes))
    archive = fo.load_dataset(f"{made.name}-dedup-removed")
    archived = samples(archive)
    assert len(archived) == DROPPED
    assert differences(before, samples(made) | archived) == []


def test_removing_and_restoring_at_once_loses_nothing(removable, together):
    made = removable()
    before = samples(made)
    remove, restore = ["remove_duplicates", {"confirm": True}], ["restore_removed", {}]
    together(made, [remove, restore, remove], [restore, remove, restore])
    name = f"{made.name}-dedup-removed"
    archived = samples(fo.load_dataset(name)) if fo.dataset_exists(name) else {}
    assert differences(before, samples(made) | archived) == []
    assert not set(samples(made)) & set(archived)


def test_two_processes_building_and_two_reading_one_index_all_get_it(removable, together):
    made = removable()
    build, selected = [["build_similarity_index", {}]], made.exists(FIELD).values("id")[:1]
    reading = [
        [["sort_by_similarity", {"k": 5, "selected": selected, "similarity_field": f"similarity_{n}"}]]
        for n in "ab"
    ]
    first = together(made, build, build)
    assert all("at work" in error for error in errors(first))
    assert len(errors(first)) < 2
    outcomes = together(made, build, *reading, build)
    assert all("'brain-vgg16_annoy'" in error for error in errors(outcomes))
    assert errors(outcomes[1:3]) == errors(together(made, *reading)) == []
    made.reload()
    assert {"similarity_a", "similarity_b"} <= set(made.get_field_schema())
    made.clear_cache()
    index = made.load_brain_results("vgg16_annoy")
    assert index.total_index_size == made.exists(FIELD).count()
