"""A server that lives exactly as long as the process that started it, however that one dies."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path


class Server:
    """A command running in the background, with its output in a file.

    Args:
        command: program and arguments
        log: where its output goes; written anew. Its folder, which must exist, is the command's working folder
        remove (None): a folder to delete once the command has ended
        grace (30): seconds it has to end by itself
    """

    def __init__(self, command: list[str], log: Path, remove: Path | None = None, grace: float = 30):
        log.write_bytes(b"")
        self.log = log
        keeper = [sys.executable, __file__, str(log), str(remove or ""), str(grace), *command]
        # A session of its own: Ctrl-C in the terminal ends the client, and the client then ends its servers.
        self._keeper = subprocess.Popen(keeper, stdin=subprocess.PIPE, start_new_session=True)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._keeper.poll() is None

    def stop(self) -> None:
        """End it and wait for its end; more than once does no harm."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()

    def failure(self) -> str:
        """Return the end of its output."""
        return self.log.read_text(errors="replace")[-1500:]


def keep(log: str, remove: str, grace: str, *command: str) -> None:
    """Run a command until standard input closes, which the kernel does when the parent is gone."""
    with Path(log).open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=Path(log).parent
        )

    def end_with_parent() -> None:
        sys.stdin.read()
        server.terminate()
        try:
            server.wait(float(grace))
        except subprocess.TimeoutExpired:
            server.kill()

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.wait()
    if remove:
        shutil.rmtree(remove, ignore_errors=True)


if __name__ == "__main__":
    keep(*sys.argv[1:])
