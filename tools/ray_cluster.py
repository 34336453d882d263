"""Bring up a Ray cluster of two nodes on this machine, to try the option ``ray``, until Ctrl-C.

Plain, both nodes see the same files. With ``--namespaces`` (Linux, root) the second one has a network, ``/tmp`` and shared
memory of its own, as another machine has: what goes between them can be counted (``ip -s link show onlyone0``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

HEAD, OTHER, PORT, CLIENTS = "10.77.0.1", "10.77.0.2", 6379, 10001
SPACE, HERE, THERE = "onlyone-ray", "onlyone0", "onlyone1"
RAY = Path(sys.executable).with_name("ray")


def main() -> None:
    """Bring it up, say where it is, and wait."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespaces", action="store_true", help="set the second node apart (root)")
    parser.add_argument("--cpus", type=int, default=1, help="CPUs of each node")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to wait")
    asked = parser.parse_args()
    with two_nodes(namespaces=asked.namespaces, cpus=asked.cpus) as ip:
        print(f"Up: ray=ray://{ip}:{CLIENTS}, or ray={ip}:{PORT}", flush=True)
        until = time.monotonic() + asked.seconds
        try:
            while time.monotonic() < until:
                time.sleep(1)
        except KeyboardInterrupt:
            print("Ending")


@contextmanager
def two_nodes(*, namespaces: bool, cpus: int) -> Iterator[str]:
    """Have a cluster of two nodes; yields the address of its head."""
    with ExitStack() as stack:
        ip = HEAD if namespaces else "127.0.0.1"
        apart = stack.enter_context(namespace()) if namespaces else []
        head = [
            "--head",
            f"--port={PORT}",
            f"--ray-client-server-port={CLIENTS}",
            "--include-dashboard=false",
        ]
        stack.enter_context(node([], cpus, ip, head))
        there = OTHER if namespaces else ip
        stack.enter_context(node(apart, cpus, there, [f"--address={ip}:{PORT}"]))
        yield ip


@contextmanager
def node(before: list[str], cpus: int, ip: str, more: list[str]) -> Iterator[None]:
    """Have a node, started by ``before``."""
    options = [
        f"--num-cpus={cpus}",
        f"--node-ip-address={ip}",
        "--block",
        "--disable-usage-stats",
    ]
    process = subprocess.Popen(
        [*before, str(RAY), "start", *options, *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        time.sleep(8)
        if process.poll() is not None:
            raise SystemExit(f"ray start ended with {process.returncode}")
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def namespace() -> Iterator[list[str]]:
    """Have a network namespace that reaches this one; yields the beginning of a command that runs in it.

    The command has a mount namespace of its own, too.
    """
    inside = ["ip", "netns", "exec", SPACE]
    commands = [
        ["ip", "netns", "add", SPACE],
        ["ip", "link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", SPACE],
        ["ip", "addr", "add", f"{HEAD}/24", "dev", HERE],
        ["ip", "link", "set", HERE, "up"],
        [*inside, "ip", "addr", "add", f"{OTHER}/24", "dev", THERE],
        [*inside, "ip", "link", "set", THERE, "up"],
        [*inside, "ip", "link", "set", "lo", "up"],
    ]
    try:
        for command in commands:
            subprocess.run(command, check=True)
        mounts = 'mount -t tmpfs none /tmp && mount -t tmpfs none /dev/shm && exec "$@"'
        yield [*inside, "unshare", "--mount", "sh", "-c", mounts, "sh"]
    finally:
        subprocess.run(["ip", "netns", "delete", SPACE], check=False)


if __name__ == "__main__":
    main()
