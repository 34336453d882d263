"""The names that annotation tools give to pictures, matched with the pictures of the export that was annotated."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import unquote

from .annotated import Picture
from .manifest import Row
from .media import name_key

_PREFIX = re.compile(r"[0-9a-f]{6,8}(?:-|__)(?=.)")  # Label Studio's
_CLEANED = re.compile(r"[^-\w.]")  # Label Studio takes these out of the names of uploads

UNKNOWN = "no picture of the export has this name"


class Pictures:
    """The pictures of an export by their names.

    Args:
        rows: one for each picture
    """

    def __init__(self, rows: Iterable[Row]):
        self._exact: dict[str, set[str]] = defaultdict(set)
        self._last: dict[str, set[str]] = defaultdict(set)
        self._cleaned: dict[str, set[str]] = defaultdict(set)
        self._originals: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in rows:
            path = _path(row.exported or row.filepath)
            self._exact[path].add(row.id)
            for form in _forms(path):
                last = PurePosixPath(form).name
                self._last[last].add(row.id)
                self._cleaned[_clean(last)].add(row.id)
            for form in _forms(_path(row.filepath)):
                self._originals[_ending(form)].add((row.id, form))

    def find(self, name: str) -> set[str]:
        """Return the ids of the samples whose picture a name may mean: its path in the export, or its file name.

        A path that ends as the original file's does is evidence too: where it contradicts the file name, both are found.
        """
        for form in _readings(name):
            named, original = self._last.get(PurePosixPath(form).name, set()), self._by_original(form)
            found = self._exact.get(form) or (named if named & original else named | original)
            if found:
                return found
        return next(filter(None, (self._cleaned.get(_clean(last)) for last in _without_prefix(name))), set())

    def _by_original(self, form: str) -> set[str]:
        """Return the samples whose original file has this folder and name; of several, those whose paths agree furthest."""
        agreed = {one: _agreement(form, one[1]) for one in self._originals.get(_ending(form), ())}
        furthest = max(agreed.values(), default=0)
        return {one[0] for one, number in agreed.items() if number == furthest}


def match(rows: Sequence[Row], pictures: Iterable[Picture]) -> tuple[dict[str, Picture], dict[str, str]]:
    """Find the sample of each annotated picture.

    Args:
        rows: of the manifest, one for each exported picture

    Returns:
        sample id -> picture, and name -> why no sample is found; an ambiguous name has none
    """
    exported, known = Pictures(rows), {row.id for row in rows}
    found = [({one.id} if one.id in known else exported.find(one.name), one) for one in pictures]
    claims = Counter(sample_id for ids, _ in found for sample_id in ids)
    matched, problems = {}, {}
    for ids, picture in found:
        rivals = max((claims[sample_id] for sample_id in ids), default=0)
        if len(ids) > 1:
            problems[picture.name] = f"ambiguous: {len(ids)} pictures of the export fit this name"
        elif rivals > 1:
            problems[picture.name] = f"ambiguous: {rivals} names fit the same picture of the export"
        elif ids:
            matched[next(iter(ids))] = picture
        else:
            problems[picture.name] = UNKNOWN
    return matched, problems


def _path(name: str) -> str:
    return name_key(str(PurePosixPath(name.replace("\\", "/"))))


def _forms(path: str) -> tuple[str, str]:
    """Return a path, and the same without its extension: label files of one picture are named so."""
    return path, str(PurePosixPath(path).with_suffix(""))


def _ending(path: str) -> str:
    """Return the file's name with its folder's; empty where there is no folder."""
    parts = PurePosixPath(path).parts[-2:]
    return "/".join(parts) if len(parts) == 2 else ""


def _agreement(path: str, other: str) -> int:
    """Return how many of the last parts of two paths are equal."""
    pairs = zip(reversed(PurePosixPath(path).parts), reversed(PurePosixPath(other).parts), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _readings(name: str) -> Iterator[str]:
    """Yield a name as it is, as a URL, and without Label Studio's prefix."""
    plain = _plain(name)
    yield from map(_path, plain)
    for path in map(PurePosixPath, map(_path, plain)):
        if _PREFIX.match(path.name):
            yield str(path.with_name(_PREFIX.sub("", path.name, count=1)))


def _plain(name: str) -> tuple[str, str]:
    return name, unquote(name).rpartition("?d=")[2]


def _without_prefix(name: str) -> list[str]:
    """Return the file name without Label Studio's prefix; none where it has no such prefix."""
    last = [PurePosixPath(_path(form)).name for form in _plain(name)]
    return [_PREFIX.sub("", one, count=1) for one in last if _PREFIX.match(one)]


def _clean(name: str) -> str:
    return _CLEANED.sub("", name.replace(" ", "_"))
