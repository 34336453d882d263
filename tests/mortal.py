"""Steps in processes that are killed at a chosen moment.

Run as a program, this is a process that has FiftyOne and the plugin loaded and forks a child for every request it reads:
starting FiftyOne anew for each of hundreds of kills would take hours. A request names a step, its dataset and options,
and when to die: at the k-th write to the database or to a disk, before or after it, or after a time.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = {"insert", "update", "delete", "findAndModify", "create", "createIndexes", "drop", "dropIndexes"}
FILE_WRITES = {"os.link", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "shutil.rmtree"}


@dataclass(frozen=True)
class Outcome:
    """What became of a child.

    Attributes:
        killed: whether it died of SIGKILL
        error: what it raised, as ``"Type: message"``; None if nothing
        writes: how many writes it did; 0 if it was killed
        seconds: how long it took
    """

    killed: bool
    error: str | None
    writes: int
    seconds: float


class Mortals:
    """The forking process, seen from the tests. Close it.

    Args:
        home (None): its ``$ONLYONE_HOME``; by default that of the tests
    """

    def __init__(self, home: Path | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mortal"],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                **({"ONLYONE_HOME": str(home)} if home else {}),
            },
        )

    def run(self, *requests: dict[str, Any]) -> list[Outcome]:
        """Run requests, all at the same time: ``{"steps": [[step, options], ...], "dataset": ..., "die": ...}``."""
        self.begin(*requests)
        return self.end()

    def begin(self, *requests: dict[str, Any]) -> None:
        """Start requests, and do not wait for them."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(requests) + "\n")
        self._process.stdin.flush()

    def end(self) -> list[Outcome]:
        """Wait for the requests that were started last."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, "the forking process is gone"
        return [Outcome(**outcome) for outcome in json.loads(answer)]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


def moments(outcome: Outcome, number: int, seed: int) -> list[dict[str, Any]]:
    """When to die, of a step that takes what an undisturbed run of it took; the same for the same seed.

    Half are at writes, before or after one, where half-done work is; half at any time, also within one.
    """
    rng, found = random.Random(seed), []
    for i in range(number):
        if i % 2 == 0:
            found.append({"write": rng.randint(1, outcome.writes), "before": rng.random() < 0.5})
        else:
            found.append({"after": rng.uniform(0, outcome.seconds)})
    return found


class Reaper:
    """Counts the writes of this process, and kills it at the right one."""

    def __init__(self) -> None:
        self.writes = 0
        self.counting = False
        self.die: dict[str, Any] = {}
        self.dawdle: Callable[[], float] = float

    def begin(self, die: dict[str, Any] | None, pace: int | None = None) -> None:
        """Count from now on.

        Args:
            die: when to die
            pace (None): a seed of random pauses before writes
        """
        self.die, self.counting = die or {}, True
        if pace is not None:
            rng = random.Random(pace)
            self.dawdle = lambda: rng.choice([0, 0, 0, 0.01, 0.1])
        if "after" in self.die:
            timer = threading.Timer(self.die["after"], self._kill)
            timer.daemon = True
            timer.start()

    def write_begins(self, tells_its_end: bool) -> None:
        """Count a write that is about to be done; of some, nobody hears when they are."""
        if self.counting:
            self.writes += 1
            time.sleep(self.dawdle())
            self._kill_if(before=True)
            if not tells_its_end:
                self._kill_if(before=False)

    def write_ended(self) -> None:
        """Note that the last write is done."""
        if self.counting:
            self._kill_if(before=False)

    def _kill_if(self, before: bool) -> None:
        if self.die.get("write") == self.writes and self.die["before"] == before:
            self._kill()

    def _kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def watch(reaper: Reaper) -> None:
    """Tell the reaper of every write; call it before FiftyOne is imported."""
    import pymongo.monitoring as monitoring

    class Listener(monitoring.CommandListener):
        def started(self, event) -> None:
            if _writes(event.command_name, event.command):
                pending.add(event.request_id)
                reaper.write_begins(tells_its_end=True)

        def succeeded(self, event) -> None:
            if event.request_id in pending:
                pending.discard(event.request_id)
                reaper.write_ended()

        failed = succeeded

    pending: set[int] = set()
    monitoring.register(Listener())
    sys.addaudithook(lambda name, arguments: _audit(reaper, name, arguments))


def _writes(name: str, command: Any) -> bool:
    if name == "aggregate":
        return any("$merge" in stage or "$out" in stage for stage in command["pipeline"])
    return name in WRITES


def _audit(reaper: Reaper, name: str, arguments: tuple[Any, ...]) -> None:
    opened = name == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wxa+")
    if opened or name in FILE_WRITES:
        reaper.write_begins(tells_its_end=False)


def main() -> None:
    """Answer requests until standard input ends."""
    reaper = Reaper()
    watch(reaper)
    answers = os.fdopen(os.dup(1), "w")  # FiftyOne prints on standard output
    os.dup2(2, 1)
    steps = load_steps()
    for line in sys.stdin:
        children = [fork(steps, request, reaper) for request in json.loads(line)]
        answers.write(json.dumps([wait(*child) for child in children]) + "\n")
        answers.flush()


def load_steps() -> dict[str, Callable[..., Any]]:
    """The steps by their operators' names; in small portions, and with a network that is quick."""
    import fiftyone.operators as foo

    found: dict[str, Callable[..., Any]] = {
        "rename": rename,
        "rename_run": rename_run,
        "forget_run": forget_run,
    }
    found |= {
        o.name: o for o in foo.list_operators() if o.plugin_name == "@onlyone/dedup" and hasattr(o, "step")
    }
    similarity = "fiftyone.plugins.orgs.onlyone.dedup.similarity"
    sys.modules[f"{similarity}.data.archive"].MOVE = 2
    sys.modules[f"{similarity}.steps.embed"].FLUSH = 3
    replace_network(sys.modules[f"{similarity}.engine.vgg16"])
    return found


def rename(dataset: Any, name: str) -> None:
    """Give a dataset another name by FiftyOne, as a person does."""
    latest(dataset).name = name


def rename_run(dataset: Any, key: str, new: str) -> None:
    """Rename a run by FiftyOne, as a person does, if there is one."""
    if latest(dataset).has_run(key):
        dataset.rename_run(key, new)


def forget_run(dataset: Any, key: str) -> None:
    """Delete a run's record by FiftyOne, as a person does, if there is one."""
    if latest(dataset).has_run(key):
        dataset.delete_run(key)


def latest(dataset: Any) -> Any:
    """A dataset as it is now, whatever its name is by now."""
    dataset._doc.reload("name")
    dataset._reload(hard=True)
    return dataset


def replace_network(vgg16: Any) -> None:
    """Put means of the pixels where VGG16's features would be: what is tried here is what happens to results."""
    import numpy as np

    def embed_stream(pictures: Iterable[Any], model: Any, **options: Any) -> Iterable[Any]:
        for picture in pictures:
            if picture.pixels is None:
                yield picture, None
                continue
            means = picture.pixels.reshape(16, 14, 16, 14, 3).mean(axis=(1, 3)).ravel()[:512]
            yield picture, means.astype(np.float32) + 1

    told = {"model": "means", "weights_digest": "", "version": vgg16.VERSION}
    vgg16.provenance = lambda **options: {**told, **options}
    vgg16.load = lambda **options: None
    vgg16.embed_stream = embed_stream


def fork(
    steps: dict[str, Callable[..., Any]], request: dict[str, Any], reaper: Reaper
) -> tuple[int, int, float]:
    """Start a child; return its process id, where it will write what became of it, and when it started."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading, time.monotonic()
    os.close(reading)
    error = None
    try:
        perform(steps, request, reaper)
    except BaseException as problem:  # of any type: it is reported
        error = f"{type(problem).__name__}: {problem}"
        if not isinstance(problem, ValueError | RuntimeError):  # none of those that explain themselves
            traceback.print_exc()
    os.write(writing, json.dumps({"error": error, "writes": reaper.writes}).encode())
    os._exit(0)


def perform(steps: dict[str, Callable[..., Any]], request: dict[str, Any], reaper: Reaper) -> None:
    """Do what is asked, in the child."""
    dataset = load(request["dataset"])
    start = request.get("start")  # the same moment for all that run at the same time
    if start is not None:
        time.sleep(max(0.0, start - time.time()))
    reaper.begin(request.get("die"), request.get("pace"))
    for step, options in request["steps"]:
        try:
            steps[step](dataset, **options)
        except (ValueError, RuntimeError):  # those that explain themselves
            if not request.get("anyway"):
                raise


def load(name_or_id: str) -> Any:
    """A dataset by its name, or by its id where others may rename it at this moment."""
    import fiftyone as fo
    import fiftyone.core.odm as foo
    from bson import ObjectId

    if not ObjectId.is_valid(name_or_id):
        return fo.load_dataset(name_or_id)
    while True:
        found = foo.get_db_conn().datasets.find_one({"_id": ObjectId(name_or_id)})
        with contextlib.suppress(ValueError):
            return fo.load_dataset(found["name"])


def wait(child: int, reading: int, started: float) -> dict[str, Any]:
    """What became of a child."""
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - started
    if told:
        return {"killed": False, **json.loads(told), "seconds": seconds}
    return {"killed": os.WTERMSIG(status) == signal.SIGKILL, "error": None, "writes": 0, "seconds": seconds}


if __name__ == "__main__":
    main()
