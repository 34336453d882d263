"""Locks among processes that share nothing but the database."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from pymongo.collection import Collection

from tests import support
from tests.removable import call, delete
from tests.vectors import NEAR, directions, documents

import fiftyone as fo  # isort: skip
import fiftyone.core.odm as foo  # isort: skip

locks = support.plugin("similarity.data.locks")
sm = support.plugin("similarity.data.samples")
cluster_step = support.plugin("similarity.steps.cluster")
options = support.plugin("similarity.options")

VECTORS = directions(0, 1, 2, 40, 41, 90)


@pytest.fixture
def elsewhere(tmp_path):
    """``elsewhere(dataset, code, lease=60)``: Python in a process with a home of its own."""
    started = []

    def start(dataset, code: str, lease: float = 60.0) -> subprocess.Popen:
        prelude = f"""
import importlib, sys
import fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
plugin = lambda name: importlib.import_module("{support.PACKAGE}." + name)
locks, sm = plugin("similarity.data.locks"), plugin("similarity.data.samples")
dataset = fo.load_dataset("{dataset.name}")
say = lambda *words: print(*words, flush=True)
"""
        home = tmp_path / f"home{len(started)}"
        env = {**os.environ, "ONLYONE_HOME": str(home), "ONLYONE_LEASE_SECONDS": str(lease)}
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", prelude + code]
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def tell(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def heard(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def cluster(made):
    return cluster_step.cluster(made, options.ClusterOptions(eps=NEAR))


def test_of_three_processes_with_homes_of_their_own_one_at_a_time_holds_a_lock(vector_dataset, elsewhere):
    made = vector_dataset(VECTORS)
    made.add_sample_field("counter", fo.IntField)
    code = """
say("ready"); input()
worked = 0
while worked < 20:
    try:
        with locks.lock(dataset, "run-dedup"):
            first, counted = next(iter(dataset.iter_samples())).id, dataset.values("counter")[0] or 0
            sm.write(dataset, {"counter": {first: counted + 1}})
            worked += 1
    except locks.Busy:
        pass
"""
    processes = [elsewhere(made, code) for _ in range(3)]
    assert [heard(process) for process in processes] == ["ready"] * 3
    for process in processes:
        tell(process)
    assert [process.wait(120) for process in processes] == [0] * 3
    assert made.values("counter")[0] == 60
    assert not list(foo.get_db_conn()[locks.COLLECTION].find({"_id": {"$regex": str(made._doc.id)}}))


def test_a_killed_holder_is_replaced_at_once(vector_dataset, elsewhere):
    made = vector_dataset(VECTORS)
    other = elsewhere(made, "with locks.lock(dataset, 'run-dedup'): say('held'); input()")
    assert heard(other) == "held"
    with pytest.raises(locks.Busy, match=f"process {other.pid} on"):
        cluster(made)
    other.kill()  # and not waited for: it is a zombie now
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    started = time.monotonic()
    assert cluster(made).clusters == 2
    assert time.monotonic() - started < 20


def test_a_holder_that_was_stopped_past_its_lease_writes_nothing_more(vector_dataset, elsewhere):
    made = vector_dataset(VECTORS)
    code = """
first = next(iter(dataset.iter_samples())).id
with locks.lock(dataset, "run-dedup"):
    say("held"); input()
    for write in (
        lambda: sm.tag(dataset, {"late": [first]}),
        lambda: sm.write(dataset, {"filepath": {first: "late"}}),
        lambda: sm.declare_field(dataset, "late", fo.IntField, "late", {}),
        lambda: plugin("similarity.data.saved_views").save(dataset, "late", dataset.limit(1), "late"),
    ):
        try:
            write()
            say("written")
        except locks.LockLost as error:
            say(error)
"""
    other = elsewhere(made, code, lease=1.0)
    assert heard(other) == "held"
    with pytest.raises(locks.Busy):
        cluster(made)
    other.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    with locks.lock(made, "run-dedup"):
        before = documents(made)
        other.send_signal(signal.SIGCONT)
        tell(other)
        told = [heard(other) for _ in range(4)]
        assert all(f"process {os.getpid()} on" in line for line in told)
        other.wait(60)
        locks.check()  # the late one has not let go of what is not its own
    assert documents(made) == before
    assert not made.list_saved_views()
    assert cluster(made).clusters == 2


def test_a_stopped_holder_that_nobody_has_replaced_goes_on(vector_dataset, elsewhere):
    made = vector_dataset(VECTORS)
    code = """
with locks.lock(dataset, "run-dedup"):
    say("held"); input()
    locks.check()
    say("still held"); input()
"""
    other = elsewhere(made, code, lease=1.0)
    assert heard(other) == "held"
    other.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    other.send_signal(signal.SIGCONT)
    tell(other)
    assert heard(other) == "still held"
    with pytest.raises(locks.Busy):
        cluster(made)


def test_a_long_call_that_never_writes_keeps_its_lock(vector_dataset, monkeypatch):
    made = vector_dataset(VECTORS)
    monkeypatch.setenv("ONLYONE_LEASE_SECONDS", "0.4")
    with locks.lock(made, "run-dedup"):
        time.sleep(1.5)
        with pytest.raises(locks.Busy), locks.lock(made, "run-dedup"):
            pass
        locks.check()


@pytest.mark.parametrize("machine", ["this one", "another"])
def test_the_lease_of_a_machine_that_is_gone_lasts_until_it_expires(vector_dataset, machine):
    made = vector_dataset(VECTORS)
    owner = support.plugin("similarity.data.processes").this_process() | {"pid": 2**22 + 1}
    owner |= {} if machine == "this one" else {"machine": "elsewhere", "host": "elsewhere"}
    collection = foo.get_db_conn()[locks.COLLECTION]
    lease = {"_id": f"{made._doc.id}/run-dedup", "token": "theirs", "owner": owner}
    collection.update_one(
        {"_id": lease["_id"]}, [{"$set": {**lease, "expires": {"$add": ["$$NOW", 1_500]}}}], upsert=True
    )
    if machine == "another":
        with pytest.raises(locks.Busy, match="on elsewhere"):
            cluster(made)
        time.sleep(2)
    assert cluster(made).clusters == 2


def test_a_process_that_reuses_the_id_of_a_dead_one_does_not_hold_its_lock():
    processes = support.plugin("similarity.data.processes")
    this = processes.this_process()
    assert not processes.has_ended(this)
    assert not processes.has_ended(this | {"pid": 1, "start": processes._start(1)})
    assert processes.has_ended(this | {"start": "1"})
    assert not processes.has_ended(this | {"machine": "elsewhere", "start": "1"})


def test_locks_of_other_names_datasets_and_threads_do_not_meet(vector_dataset):
    made, another = vector_dataset(VECTORS), vector_dataset(VECTORS)
    lost = threading.Event()

    def loses_its_own() -> None:
        with locks.lock(another, "run-dedup") as lease:
            lease.release()
            with contextlib.suppress(locks.LockLost):
                locks.check()
                return
            lost.set()

    with locks.lock(made, "run-dedup"), locks.lock(made, "removal"), locks.lock(another, "run-night"):
        thread = threading.Thread(target=loses_its_own)
        thread.start()
        thread.join()
        locks.check()
    assert lost.is_set()


def test_a_dataset_renamed_by_another_process_is_still_itself(vector_dataset, elsewhere):
    made = vector_dataset(VECTORS)
    renamed = f"{made.name}-renamed"
    assert elsewhere(made, f"dataset.name = '{renamed}'").wait(60) == 0
    assert cluster(made).clusters == 2
    assert made.name == renamed
    made.delete()


# --- every operator

WRITERS = ("insert", "update", "replace", "delete", "bulk_write", "find_one_and", "aggregate")
WRITTEN = ("samples.", "runs", "views")


@pytest.fixture
def writes(monkeypatch):
    """The writes of this process to samples, runs and views: for each, its collection and whether a lock was held."""
    found = []

    def watched(name, method):
        def call(self, *arguments, **named):
            reads = name == "aggregate" and not any("$merge" in stage for stage in arguments[0])
            if self.name.startswith(WRITTEN) and not reads:
                found.append((self.name, bool(locks._HELD.get())))
            return method(self, *arguments, **named)

        return call

    for name in [name for name in vars(Collection) if name.startswith(WRITERS)]:
        monkeypatch.setattr(Collection, name, watched(name, getattr(Collection, name)))
    return found


def test_every_operator_that_writes_does_so_under_a_lock(dataset, pictures, writes):
    made = dataset(pictures(scenes=3, each=2))
    selected = made.values("id")[:1]
    for operator, given in (
        ("compute_embeddings", {"weights": "untrained"}),
        ("build_similarity_index", {}),
        ("cluster_duplicates", {"eps": 0.05}),
        ("split_by_cluster", {}),
        ("keep_first_per_cluster", {}),
        ("remove_duplicates", {"confirm": True}),
        ("restore_removed", {}),
        ("delete_run", {"confirm": True}),
        ("find_unique_samples", {"weights": "untrained", "eps": 0.05}),
    ):
        writes.clear()
        call(operator, made, **given)
        assert writes, operator
        assert {held for _, held in writes} == {True}, operator
    index = made.load_brain_results("vgg16_annoy")
    writes.clear()
    index.remove_from_index(sample_ids=selected)
    assert {held for _, held in writes} == {True}
    delete([made.name])


STEPS = ("cluster_duplicates", "keep_first_per_cluster", "remove_duplicates", "restore_removed", "delete_run")


@pytest.mark.parametrize(
    ("operator", "at"),
    [("sort_by_similarity", 1), *((step, at) for step in STEPS for at in (1, 4))],
)
def test_an_operator_whose_lock_was_taken_over_writes_nothing_more(
    removable, writes, monkeypatch, operator, at
):
    made = removable()
    given = {
        "sort_by_similarity": {"selected": made.exists("vgg16").values("id")[:1], "k": 3},
        "cluster_duplicates": {"eps": 0.05},
        "keep_first_per_cluster": {},
        "restore_removed": {},
    }.get(operator, {"confirm": True})
    if operator == "sort_by_similarity":
        call("build_similarity_index", made)
    if operator == "restore_removed":
        call("remove_duplicates", made, confirm=True)
    renew, checks = locks.Lease._renew, []

    def taken_over(lease) -> bool:
        checks.append(lease)
        if len(checks) == at:
            writes.clear()
        return len(checks) < at and renew(lease)

    monkeypatch.setattr(locks.Lease, "_renew", taken_over)
    with pytest.raises(locks.LockLost):
        call(operator, made, **given)
    assert writes == []
    monkeypatch.setattr(locks.Lease, "_renew", renew)
    call(operator, made, **given)
