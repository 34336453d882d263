"""What a quarantine folder holds, and where each file came from: written before the first of them is moved.

The journal says what is meant to happen, not what has: where a file is can be seen. So there is no second record that a
killed process could leave at odds with the first.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from .relocate import sync_folder

NAME = "journal.jsonl"
FILES = "files"
_UNFINISHED = f"{NAME}.partial"


@dataclass
class Journal:
    """The journal of a quarantine folder.

    Attributes:
        folder: the folder
        dataset_id, dataset, run_key: whose samples' files these are
        entries: original path -> path in the folder
    """

    folder: Path
    dataset_id: str
    dataset: str
    run_key: str
    entries: dict[str, str] = field(default_factory=dict)

    def target(self, origin: str) -> Path:
        """Where a file goes in the folder: under its own full path, so that a person too can tell where it belongs."""
        path = Path(os.path.normpath(origin))
        drive = path.drive.replace(":", "").strip("\\/")
        return self.folder / FILES / drive / path.relative_to(path.anchor)

    def add(self, origin: str) -> Path:
        """Note that a file goes into the folder; return its path there."""
        target = self.target(origin)
        self.entries[origin] = str(target.relative_to(self.folder))
        return target

    def write(self) -> None:
        """Write the journal, all or nothing, and have it on the disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write_partial()
        except OSError:
            self._partial.unlink(missing_ok=True)
            _remove_if_empty(self.folder)
            raise
        self._partial.replace(self.folder / NAME)
        sync_folder(self.folder)

    @property
    def _partial(self) -> Path:
        return self.folder / _UNFINISHED

    def _write_partial(self) -> None:
        head = {"dataset_id": self.dataset_id, "dataset": self.dataset, "run_key": self.run_key}
        lines = [head, *({"from": origin, "to": to} for origin, to in self.entries.items())]
        with self._partial.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())

    def tidy(self) -> None:
        """Remove the folders that are empty; the journal and the folder itself, if there is nothing left to tell."""
        for parent, _, _ in os.walk(self.folder / FILES, topdown=False):
            _remove_if_empty(Path(parent))
        if not self.entries:
            (self.folder / NAME).unlink(missing_ok=True)
            self._partial.unlink(missing_ok=True)
            _remove_if_empty(self.folder)


def read(folder: Path) -> Journal | None:
    """The journal of a folder; None if it has none.

    Raises:
        ValueError: if it cannot be understood, or names paths outside the folder
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        head, *rest = [json.loads(line) for line in text.split("\n") if line]
        journal = Journal(folder, head["dataset_id"], head["dataset"], head["run_key"])
        for line in rest:
            if journal.add(line["from"]) != folder / line["to"]:
                raise ValueError(f"{line['to']} is not where {line['from']} goes")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"The journal {path} cannot be understood ({error}); nothing was moved") from error
    return journal


def is_free(folder: Path) -> bool:
    """Whether a quarantine may begin in a folder: it is not there, empty, or holds a journal that a kill left unfinished."""
    if not os.path.lexists(folder):
        return True
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {_UNFINISHED}


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
