"""What needs a Ray cluster: one of two nodes with a CPU each, on this machine."""

import dataclasses
import itertools
import operator
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests import support
from tests.vectors import column
from tools.bench import data

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

ours = support.plugin("similarity.ray")
tiles = support.plugin("similarity.engine.tiles")
elsewhere = support.plugin("similarity.engine.elsewhere")
distant = support.plugin("similarity.engine.distant")
pieces = support.plugin("similarity.engine.pieces")
vec = support.plugin("similarity.engine.vectors")
dbscan = support.plugin("similarity.engine.clusters").dbscan
vgg16 = support.plugin("similarity.engine.vgg16")
options = support.plugin("similarity.options")
cluster_step = support.plugin("similarity.steps.cluster")
embed_step = support.plugin("similarity.steps.embed")
keep_step = support.plugin("similarity.steps.keep")
distant_step = support.plugin("similarity.steps.distant")

ROOT = Path(__file__).parents[2]
CLIENT = 10_123  # port
NODE = {"num_cpus": 1, "object_store_memory": 200 << 20}


@pytest.fixture(scope="module")
def nodes():
    settings = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {**NODE, "include_dashboard": False, "ray_client_server_port": CLIENT, "_system_config": settings}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.add_node(**NODE)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def address(nodes):
    return nodes.address


@pytest.fixture(scope="module")
def on(address):
    """A connection for the whole module: each one starts workers of its own."""
    with ours.cluster(address) as connected:
        yield connected


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(distant, "SIZE", 1_000)


@pytest.fixture(scope="module")
def vectors():
    return data.vectors(6_000)


def put(on, vectors, size=1_000):
    parts = [vectors[start : start + size] for start in range(0, len(vectors), size)]
    return pieces.Pieces(
        [on.put(part) for part in parts], [vec.digests(part) for part in parts], vectors.shape[1], on
    )


@pytest.mark.parametrize("min_samples", [2, 4])
@pytest.mark.usefixtures("on")
def test_labels_are_those_of_one_machine(vector_dataset, address, vectors, monkeypatch, min_samples):
    monkeypatch.setattr(support.plugin("similarity.data.vectors"), "SIZE", 1_500)
    made = vector_dataset([*vectors, None, np.zeros(512)])
    asked = options.ClusterOptions(eps=data.EPS, min_samples=min_samples, ray=address)
    result = cluster_step.cluster(made, asked, least=1_000)
    assert result.engine.startswith(f"ray {ray.__version__}, 2 nodes, 2 CPUs")
    assert f"Compared on {result.engine}." in result.summary()
    assert len(result.skipped) == 2
    assert (
        column(made, "dedup_cluster")[:6_000]
        == dbscan(vectors, eps=data.EPS, min_samples=min_samples).tolist()
    )
    here = keep_step.keep(made, options.KeepOptions(order_by="medoid"))
    decided = made.values(["dedup_kept", "dedup_kept_id", "dedup_similarity"])
    there = keep_step.keep(made, options.KeepOptions(order_by="medoid", ray=address), least=1_000)
    assert f"Compared on {there.engine}." in there.summary()
    assert dataclasses.replace(there, engine=None) == here
    assert made.values(["dedup_kept", "dedup_kept_id", "dedup_similarity"]) == decided


def test_few_samples_are_compared_here_and_the_result_says_so(vector_dataset):
    made = vector_dataset(data.vectors(20))
    result = cluster_step.cluster(made, options.ClusterOptions(eps=data.EPS, ray="nobody:1"))
    assert "50,000 samples" in result.summary()
    assert keep_step.keep(made, options.KeepOptions(ray="nobody:1")).engine == result.engine


@pytest.mark.parametrize("pictures_", ["shared", "send"])
@pytest.mark.usefixtures("on")
def test_vectors_are_the_same_bytes(dataset, pictures, address, pictures_):
    paths = pictures(scenes=8, each=2)
    paths[5].write_bytes(b"no picture")
    paths[11].write_bytes(paths[10].read_bytes())
    here, there = dataset(paths), dataset(paths)
    asked = {"weights": "untrained"}
    one = embed_step.embed(here, options.EmbedOptions(**asked))
    other = embed_step.embed(there, options.EmbedOptions(**asked, ray=address, pictures=pictures_))
    fields = ("vgg16_digest", "vgg16_file", "vgg16_error", "vgg16_sharpness")
    assert [there.values(field) for field in fields] == [here.values(field) for field in fields]
    for mine, theirs in zip(here.values("vgg16"), there.values("vgg16"), strict=True):
        assert (mine is None and theirs is None) or mine.tobytes() == theirs.tobytes()
    assert (one.embedded, one.copies, len(one.skipped)) == (15, 1, 1)
    assert (other.embedded, other.copies, len(other.skipped)) == (15, 1, 1)
    assert "Embedded on ray" in other.summary()


class Slow:
    """Blocks that take a second to make."""

    def recipe(self, _):
        return distant.Recipe(time.sleep, (1.0,))


def slow(on, number):
    """Yield which jobs are done, a second each."""
    jobs = (tiles.Job(operator.is_, i, i, ()) for i in range(number))
    for (i, _), answer in on.run(jobs, Slow()):
        assert answer is True
        yield i


def at_work():
    """The worker processes of this test's cluster that carry out a job."""
    mine = psutil.Process().children(recursive=True)
    return [process for process in mine if any("_answer" in word for word in process.cmdline())]


def test_a_killed_worker_costs_its_task_only(on):
    done = []
    for i in slow(on, 6):
        if not done:
            until = time.monotonic() + 20
            while not (workers := at_work()) and time.monotonic() < until:  # between two jobs there is none
                time.sleep(0.01)
            os.kill(workers[0].pid, signal.SIGKILL)
        done.append(i)
    assert sorted(done) == list(range(6))


def test_a_lost_node_costs_time_only(nodes, on, vectors):
    pieces_ = put(on, vectors, 500)
    spare = nodes.add_node(**NODE)
    until = time.monotonic() + 20
    while len(on.nodes()) < 3 and time.monotonic() < until:
        time.sleep(0.2)
    done = []
    for i in slow(on, 12):
        if len(done) == 3:
            nodes.remove_node(spare, allow_graceful=False)
        done.append(i)
    assert sorted(done) == list(range(12))
    np.testing.assert_array_equal(dbscan(pieces_, eps=data.EPS, run=on.run), dbscan(vectors, eps=data.EPS))


def test_without_any_node_it_stops_and_says_so(on, monkeypatch):
    monkeypatch.setattr(on, "patience", 0.5)
    monkeypatch.setattr(type(on), "nodes", lambda _: [])
    with pytest.raises(ValueError, match="CPU for 0 s"):
        next(slow(on, 1))


def test_pictures_that_only_this_machine_sees_are_an_error_that_names_node_and_folder(
    on, address, dataset, pictures, monkeypatch
):
    """The nodes are processes of this machine: what they see is looked for in another folder, the way one would miss."""
    paths = pictures(scenes=2, each=1)
    missed = type(on).look

    def look(self, function, some, precision):
        return missed(self, function, [path + ".not-there" for path in some], precision)

    monkeypatch.setattr(type(on), "look", look)
    made = dataset(paths)
    with pytest.raises(ValueError, match=re.escape(f"{socket.gethostname()}")) as caught:
        embed_step.embed(made, options.EmbedOptions(weights="untrained", ray=address))
    assert str(paths[0].parent) in str(caught.value)
    assert made.count("vgg16_error") == 0


@pytest.mark.usefixtures("on")
def test_a_fault_of_ours_stops_at_once_with_its_traceback(on, vectors):
    begun = itertools.count()
    jobs = (tiles.Job(tiles.near, 0, 0, (f"no number {next(begun)}", 5)) for _ in range(100))
    blocks = distant.cut(put(on, vectors[:1_000]), "cosine", np.arange(1_000))
    with pytest.raises(ray.exceptions.RayTaskError, match=r"tiles\.py"):
        list(on.run(jobs, blocks))
    assert next(begun) <= on.most_jobs()


def test_cancelling_leaves_no_task(on):
    for _ in slow(on, 20):
        break
    until = time.monotonic() + 15
    while at_work() and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2)  # in which the next one would have begun
    assert not at_work()


def test_where_nobody_answers_ray_is_not_asked_which_would_wait_for_minutes(vector_dataset, monkeypatch):
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("Ray was asked"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    made = vector_dataset(data.vectors(20))
    asked = options.ClusterOptions(eps=data.EPS, ray=f"ray://127.0.0.1:{port}")
    with pytest.raises(ValueError, match=f"Nobody answers at ray://127.0.0.1:{port}"):
        cluster_step.cluster(made, asked, least=1)
    assert not made.has_sample_field("dedup_cluster")


OUTSIDE = """
import sys
import numpy as np
from similarity import ray as ours
from similarity.engine import chunks, clusters, distant, pieces, vectors
from tools.bench import data
distant.SIZE = 500
made = data.vectors(2_000)
with ours.cluster(sys.argv[1]) as on:
    parts = np.split(made, 4)
    there = pieces.Pieces([on.put(p) for p in parts], [vectors.digests(p) for p in parts], 512, on)
    assert (clusters.dbscan(there, eps=data.EPS, run=on.run) == clusters.dbscan(made, eps=data.EPS)).all()
    assert len(on.look(chunks.state, [], "float32")) == 2
    print(on)
assert not {"fiftyone", "tensorflow"} & set(sys.modules)
"""


def test_a_driver_outside_of_the_cluster_gets_the_same_labels(nodes):
    assert nodes.head_node
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE, f"ray://127.0.0.1:{CLIENT}"],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 nodes, 2 CPUs" in done.stdout


OTHER = """
import sys, ray
sys.modules["ray"].__version__ = "1.0.0"
from similarity import ray as ours
try:
    with ours.cluster(sys.argv[1]):
        pass
except ValueError as error:
    print(error)
"""


def test_another_version_of_ray_is_named(address):
    done = subprocess.run(
        [sys.executable, "-c", OTHER, address], capture_output=True, text=True, check=True,
        cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert "1.0.0" in done.stdout
    assert ray.__version__ in done.stdout


def test_ray_is_not_started_by_its_own_variable_and_stays_up_where_it_was(
    on, address, vector_dataset, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", address)
    made = vector_dataset(data.vectors(20))
    assert cluster_step.cluster(made, options.ClusterOptions(eps=data.EPS), least=1).engine is None
    with ours.cluster(address):
        pass
    assert ray.is_initialized()


@pytest.mark.usefixtures("on")
def test_another_cluster_than_the_connected_one_is_refused_by_both_names(address):
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = f"127.0.0.1:{other.getsockname()[1]}"
        with (
            pytest.raises(ours.RayUnavailable, match=rf"{address}, not to {asked}"),
            ours.cluster(asked),
        ):
            pass
    with ours.cluster(f"ray://127.0.0.1:{CLIENT}"):  # the same one, by another address
        pass


def test_the_variable_is_the_default(monkeypatch):
    monkeypatch.setenv(ours.VARIABLE, "nobody:1")
    assert ours.wanted(None) == "nobody:1"
    assert ours.wanted("auto") == "auto"
