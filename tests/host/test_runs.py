import subprocess
import sys
import threading

import pytest

from tests import support
from tests.deduplicated import delete_run
from tests.vectors import NEAR, directions, documents, tags

import fiftyone as fo  # isort: skip

cluster_step = support.plugin("similarity.steps.cluster")
keep_step = support.plugin("similarity.steps.keep")
options = support.plugin("similarity.options")
runs = support.plugin("similarity.data.runs")
locks = support.plugin("similarity.data.locks")

VECTORS = [*directions(0, 1, 2, 40, 41, 90), None]


def deduplicate(samples, run_key="dedup"):
    cluster_step.cluster(samples, options.ClusterOptions(eps=NEAR, run_key=run_key))
    return keep_step.keep(samples, options.KeepOptions(run_key=run_key, cover=False))


def outside(dataset, code):
    """Run Python in a process of its own, with ``dataset``, ``plugin(name)`` and ``deduplicate`` at hand."""
    prelude = f"""
import importlib
import fiftyone as fo, fiftyone.operators as foo
foo.list_operators()
plugin = lambda name: importlib.import_module("{support.PACKAGE}." + name)
options, runs, locks = (plugin("similarity." + name) for name in ("options", "data.runs", "data.locks"))
dataset = fo.load_dataset("{dataset.name}")
def deduplicate(samples):
    plugin("similarity.steps.cluster").cluster(samples, options.ClusterOptions(eps={NEAR}))
    return plugin("similarity.steps.keep").keep(samples, options.KeepOptions(cover=False))
"""
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


# --- the record


def test_the_record_tells_options_counts_versions_and_every_name_owned(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    record = runs.load(made, "dedup")
    assert record["steps"]["cluster"]["options"]["eps"] == NEAR
    assert record["steps"]["cluster"]["clusters"] == 2
    assert (record["steps"]["keep"]["kept"], record["steps"]["keep"]["dropped"]) == (3, 3)
    assert record["steps"]["keep"]["versions"]["fiftyone"] == fo.__version__
    names = runs.Names("dedup")
    steps = record["steps"].values()
    assert [*(name for step in steps for name in step["fields"]), *names.bytes] == names.fields
    assert {name for step in steps for name in step["views"]} == set(made.list_saved_views())
    assert runs.keys(made) == ["dedup"]


def test_names_that_a_new_clustering_gives_up_are_not_owned_any_more(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    cluster_step.cluster(made, options.ClusterOptions(eps=NEAR))
    assert list(runs.load(made, "dedup")["steps"]) == ["cluster"]
    made.save_view("dedup-kept", made.limit(1))
    cluster_step.cluster(made, options.ClusterOptions(eps=NEAR))
    assert made.load_saved_view("dedup-kept").count() == 1


def test_a_clone_has_a_run_of_its_own(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    clone = made.clone()
    before = documents(made)
    delete_run(clone)
    clone.delete()
    assert documents(made) == before
    assert runs.load_results(fo.load_dataset(made.name, reload=True), "dedup")["keep"]["kept"] == 3


# --- several processes


def test_what_another_process_wrote_is_seen_at_once(vector_dataset):
    made = vector_dataset(VECTORS)
    deduplicate(made)
    assert runs.load_results(made, "dedup")["keep"]["kept"] == 3
    code = "cluster = plugin('similarity.steps.cluster').cluster(dataset, options.ClusterOptions(eps=1e-6))"
    assert outside(made, code).wait() == 0
    result = keep_step.keep(made, options.KeepOptions(cover=False))
    assert (result.kept, result.clusters) == (6, 0)
    assert runs.load_results(made, "dedup")["keep"]["kept"] == 6


def test_another_process_finds_the_run(vector_dataset):
    made = vector_dataset(VECTORS)
    expected = deduplicate(made)
    code = "print(runs.load_results(dataset, 'dedup')['keep']['kept'], deduplicate(dataset).kept)"
    with outside(made, code) as other:
        assert other.stdout.read().split() == [str(expected.kept)] * 2


def test_a_run_that_another_thread_works_on_is_busy(vector_dataset):
    made = vector_dataset(VECTORS)
    started, finish = threading.Event(), threading.Event()

    def hold(what, done, total):
        started.set()
        finish.wait(60)

    work = threading.Thread(target=cluster_step.cluster, args=(made, options.ClusterOptions(eps=NEAR), hold))
    work.start()
    assert started.wait(60)
    with pytest.raises(locks.Busy, match="'run-dedup'"):
        cluster_step.cluster(made, options.ClusterOptions(eps=0.9))
    with pytest.raises(locks.Busy):
        keep_step.keep(made, options.KeepOptions(cover=False))
    with pytest.raises(locks.Busy):
        delete_run(made)
    deduplicate(made, "dedup_night")  # another run is free
    finish.set()
    work.join()
    assert keep_step.keep(made, options.KeepOptions(cover=False)).kept == 3


@pytest.mark.parametrize(
    ("step", "moment"),
    [
        ("cluster", "clear"),
        ("cluster", "declare"),
        ("cluster", "finish"),
        ("keep", "declare"),
        ("keep", "finish"),
    ],
)
def test_a_step_killed_while_it_writes_is_done_again_with_the_same_end(vector_dataset, step, moment):
    made = vector_dataset(VECTORS)
    made.tag_samples("mine")
    deduplicate(made)
    undisturbed = documents(made), tags(made), runs.load_results(made, "dedup"), made.list_saved_views()
    code = f"""
import os, signal
finished = runs.{moment}
def killed(dataset, run_key, *args):
    doing = runs.load(dataset, run_key)["steps"]
    if list(doing)[-1] == "{step}":
        os.kill(os.getpid(), signal.SIGKILL)
    return finished(dataset, run_key, *args)
runs.{moment} = killed
deduplicate(dataset)
"""
    assert outside(made, code).wait() == -9
    made.reload()
    assert runs.load(made, "dedup")["steps"][step]["state"] == runs.WRITING
    deduplicate(made)
    assert (
        documents(made),
        tags(made),
        runs.load_results(made, "dedup"),
        made.list_saved_views(),
    ) == undisturbed
