"""The identity of this process, and whether another one of the same machine has ended."""

import os
import socket
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_ENDED = "ended"


def this_process() -> dict[str, Any]:
    """Return plain values that identify this process: machine, process id and start."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "machine": _machine(), "pid": pid, "start": _start(pid)}


def has_ended(process: dict[str, Any]) -> bool:
    """Return whether a process, as described by its :func:`this_process`, is known to have ended.

    False where it cannot be known: on another machine, or in another container of this one.
    """
    if process["machine"] != _machine():
        return False
    start = _start(process["pid"])
    return not _exists(process["pid"]) if start is None else start != process["start"]


@cache
def _machine() -> str:
    """Return an identity shared only by processes that see each other's ids: host name, network card, boot and container."""
    facts = [socket.gethostname(), f"{uuid.getnode():x}"]
    with suppress(OSError):
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(facts)


def _start(pid: int) -> str | None:
    """Return the start time of a process, in its system's own unit; None where it is not visible."""
    with suppress(OSError):
        # In ticks since the boot: a time of day would change whenever the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return _ENDED if fields[0] in "ZX" else fields[19]
    with suppress(psutil.Error):
        return str(psutil.Process(pid).create_time())
    return None


def _exists(pid: int) -> bool:
    """Return whether a process exists, also where other users' processes are hidden."""
    if os.name == "nt":
        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
