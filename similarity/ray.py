"""Work on a Ray cluster: the only file that imports ray, and only inside functions.

Jobs are plain tasks, which Ray repeats after the loss of a worker or a node. Only the driver uses the database.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .embed_options import RayOptions
from .engine import elsewhere
from .engine.tiles import Job

VARIABLE = "ONLYONE_RAY"

_AHEAD = 2  # jobs in flight for each CPU
_RETRIES = 8  # of a job whose worker died: more than nodes that may be lost, and bounded for jobs that end every worker
_PATIENCE = 60.0  # seconds without any node, after which a run stops
_ANSWERS_WITHIN = 3.0  # seconds
_LOOK = 5.0  # seconds between two looks at the nodes, and at a cancellation
_PIECES = 16  # from which one task reads rows

# A thread for each CPU that a task has, and no GPU: it would give other vectors.
_ENVIRONMENT = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

_CODE = str(Path(__file__).parent)

_connecting = threading.Lock()
_users = 0
_ours: str | None = None  # address of the connection that this module made


class RayUnavailable(ValueError):
    """The cluster cannot be used; the message says why, and the remedy."""


class WorkerLost(RayUnavailable):
    """A job has ended each worker that tried it."""


def wanted(address: str | None) -> str | None:
    """Return the address of the requested cluster, by an option or by ``$ONLYONE_RAY``; None if none is requested."""
    return RayOptions(ray=address or os.environ.get(VARIABLE)).ray


@contextmanager
def cluster(address: str | None) -> Iterator[Cluster | None]:
    """Connect to a Ray cluster inside the block; None where none is requested.

    An open connection is used and left open; else the last block that ends closes the connection.

    Args:
        address: ``ray://host:port``, ``host:port`` or ``auto``; by default ``$ONLYONE_RAY``

    Raises:
        RayUnavailable: if ray is not installed, no cluster answers, token or versions do not match, or this process is
            connected to another cluster
    """
    address = wanted(address)
    if address is None:
        yield None
        return
    _enter(address)
    try:
        on = Cluster()
        try:
            yield on
        finally:
            on.cancel()
    finally:
        _leave()


def _enter(address: str) -> None:
    global _users, _ours
    ray = _imported()
    _check_answer(address)
    with _connecting:
        if not ray.is_initialized():
            _connect(ray, address)
            _ours = address
        elif address not in (_ours, "auto"):
            _refuse_another(ray, address)
        _users += 1


def _leave() -> None:
    global _users, _ours
    with _connecting:
        _users -= 1
        if _users == 0 and _ours is not None:
            _ours = None
            _imported().shutdown()


def _imported() -> Any:
    try:
        import ray
    except ImportError as error:
        raise RayUnavailable(
            "Ray is not installed: `pip install -r requirements-ray.txt`, or run without the option ray"
        ) from error
    return ray


def _refuse_another(ray: Any, address: str) -> None:
    """Refuse another cluster than the connected one; the port of ``ray://`` is another one than the cluster's own."""
    there = ray.get_runtime_context().gcs_address
    (host, port), (other, other_port) = (_place(ray, each) for each in (there, address))
    if host != other or (port != other_port and not address.startswith("ray://")):
        raise RayUnavailable(
            f"This process is connected to the Ray cluster {there}, not to {address}: use that one (auto), or wait"
        )


def _place(ray: Any, address: str) -> list[str]:
    host, port = address.removeprefix("ray://").rsplit(":", 1)
    ip = socket.gethostbyname(host)
    return [ray.util.get_node_ip_address() if ip.startswith("127.") else ip, port]


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(
            address,
            runtime_env={"py_modules": [_CODE], "env_vars": _ENVIRONMENT},
            log_to_driver=False,
            logging_level="error",
        )
    except Exception as error:  # of many types: of Ray's, of gRPC's
        ray.shutdown()  # closes an incomplete connection
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[-1] if "Traceback" in str(error) else " ".join(map(str.strip, lines))
        raise RayUnavailable(
            f"There is no connection to the Ray cluster {address} ({reason}). Is it running there, has this "
            f"process its token (RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH), and has it Ray {ray.__version__} as here?"
        ) from error


def _check_answer(address: str) -> None:
    """Refuse an address without a server: Ray itself would wait for minutes."""
    if address == "auto":
        return
    host, port = address.removeprefix("ray://").rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWERS_WITHIN).close()
    except OSError as error:
        raise RayUnavailable(
            f"Nobody answers at {address} ({error}): start Ray there (`ray start --head`), or correct the address"
        ) from error


class Cluster:
    """The cluster that this process is connected to.

    Attributes:
        patience: seconds without any node, after which a run stops
    """

    patience = _PATIENCE

    def __init__(self) -> None:
        self._ray = ray = _imported()
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        self._answer = ray.remote(num_cpus=1, retry_exceptions=False)(_answer)
        self._take = ray.remote(num_cpus=1)(_take)
        self._look = ray.remote(num_cpus=0, max_retries=0)(_look)
        self._waiting: dict[Any, tuple[int, int]] = {}

    def __str__(self) -> str:
        nodes = self.nodes()
        cpus = sum(node["Resources"].get("CPU", 0) for node in nodes)
        return f"ray {self._ray.__version__}, {len(nodes)} nodes, {cpus:.0f} CPUs"

    def nodes(self) -> list[dict[str, Any]]:
        """Return Ray's descriptions of the nodes that are alive and have CPUs."""
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0)]

    def put(self, piece: np.ndarray) -> Any:
        """Store a piece in the object store."""
        return self._ray.put(piece)

    def take(self, wanted: Sequence[tuple[Any, np.ndarray]]) -> list[np.ndarray]:
        """Read rows of pieces."""
        parts = [wanted[start : start + _PIECES] for start in range(0, len(wanted), _PIECES)]
        refs = [
            self._take.remote([rows for _, rows in part], *(piece for piece, _ in part)) for part in parts
        ]
        return [rows for part in map(self._get, refs) for rows in part]

    def look(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Call a function of this package once on each node: ``{name of the node: its answer}``."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        call = elsewhere.packed((function, arguments))
        refs = {}
        for node in self.nodes():
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']}, {node['NodeID'][:8]})"
            refs[name] = self._look.options(scheduling_strategy=there).remote(call)
        return {name: self._get(ref) for name, ref in refs.items()}

    def run(
        self, jobs: Iterable[Job], blocks: Any, retries: int | None = None
    ) -> Generator[tuple[tuple[int, int], Any] | None, None, None]:
        """Compute jobs, as a :data:`~similarity.engine.tiles.Run`; jobs in flight end with the generator.

        Args:
            blocks: returns, by ``recipe(i)``, the recipe of a block
            retries (None): retries of a job whose worker dies; by default 8

        Raises:
            RayUnavailable: if there is no node any more, or a job ends every worker that tries it
        """
        shipped = elsewhere.Shipped(self._ray.put, blocks)
        answer = self._answer.options(max_retries=_RETRIES if retries is None else retries)
        waiting = self._waiting = {}
        jobs, most, looked = iter(jobs), 0, -np.inf
        try:
            while True:
                if time.monotonic() - looked > _LOOK:
                    most, looked = self.most_jobs(), time.monotonic()
                while len(waiting) < most and (job := next(jobs, None)) is not None:
                    waiting[answer.remote(*shipped.arguments(job))] = (job.left, job.right)
                if not waiting:
                    return
                for ref in self._ray.wait(list(waiting), timeout=_LOOK)[0] or [None]:
                    yield None if ref is None else (waiting.pop(ref), self._get(ref))
        finally:
            self.cancel()

    def cancel(self) -> None:
        """End jobs in flight; a task that has begun ends at its next step in Python."""
        while self._waiting:
            self._ray.cancel(self._waiting.popitem()[0])

    def most_jobs(self) -> int:
        """Return the largest number of jobs in flight; wait while there is no node.

        Raises:
            RayUnavailable: if no node appears
        """
        started = time.monotonic()
        while not (nodes := self.nodes()):
            if time.monotonic() - started > self.patience:
                raise RayUnavailable(
                    f"The Ray cluster has had no node with a CPU for {self.patience:.0f} s. What was written stays; run it "
                    "again when there are nodes"
                )
            time.sleep(min(1.0, self.patience))
        return max(1, int(_AHEAD * sum(node["Resources"]["CPU"] for node in nodes)))

    def _get(self, ref: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except errors.RayTaskError as error:
            if isinstance(error.cause, ImportError):
                remedy = "install requirements.txt there, without fiftyone"
                if error.cause.name == elsewhere.NAME:
                    remedy = f"start Ray here by ray.init(..., runtime_env={{'py_modules': [{_CODE!r}]}}), or not at all"
                raise RayUnavailable(f"A worker lacks a package ({error.cause}): {remedy}") from error
            raise  # an error in OnlyOne, with the worker's traceback
        except (errors.RayError, ConnectionError) as error:
            died = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError)
            kind = WorkerLost if isinstance(error, died) else RayUnavailable
            raise kind(
                f"Ray gave a job up: {str(error).strip()}. What was written stays; run it again"
            ) from error


# The functions below are sent by value: a worker cannot import this module by its name here.


def _answer(job: bytes, keys: Any, left: bytes, right: bytes | None, *pieces: Any) -> Any:
    from similarity.engine import elsewhere

    return elsewhere.answer(job, keys, left, right, *pieces)


def _take(rows: list[Any], *pieces: Any) -> list[Any]:
    return [piece[some] for piece, some in zip(pieces, rows, strict=True)]


def _look(call: bytes) -> Any:
    import pickle

    function, arguments = pickle.loads(call)
    return function(*arguments)
