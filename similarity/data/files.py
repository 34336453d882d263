"""The files of samples, how people read their names, and how a file is written whole."""

import contextlib
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import fiftyone as fo

from . import samples as sm
from .home import share


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Yield a name in the same folder; the file of that name takes the place of ``path``, or goes if writing fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        share(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def files(dataset: fo.Dataset, ids: Sequence[str]) -> dict[str, str]:
    """Sample id -> its file; samples that are gone are left out."""
    if not ids:
        return {}
    return dict(zip(*sm.everything(dataset).select(ids).values(["id", "filepath"]), strict=True))


class Names(dict[str, str]):
    """Sample id -> how people read it; a sample that is gone is read by its id."""

    def __missing__(self, sample_id: str) -> str:
        return sample_id


def short_names(paths: Mapping[str, str]) -> Names:
    """Sample id -> its file's name, with as many of the folders above as tell it from the other files'."""
    parts = {path: PurePath(path).parts for path in paths.values()}
    shown = dict.fromkeys(parts, 1)
    while True:
        names = {path: str(PurePath(*parts[path][-number:])) for path, number in shown.items()}
        times = Counter(names.values())
        alike = [path for path, name in names.items() if times[name] > 1 and shown[path] < len(parts[path])]
        if not alike:
            return Names({sample_id: names[path] for sample_id, path in paths.items()})
        for path in alike:
            shown[path] += 1
