"""The names that annotation tools give to pictures, matched with the pictures of the export that was annotated."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from urllib.parse import unquote

from .annotated import Picture
from .manifest import Row, exported
from .media import name_key

_PREFIX = re.compile(r"([0-9a-f]{6,8})(?:-|__)(?=.)")  # Label Studio's
_CLEANED = re.compile(r"[^-\w.]")  # Label Studio takes these out of the names of uploads

UNKNOWN = "no picture of the export has this name"


class Pictures:
    """The pictures of an export by their names.

    A picture that is left out is known by its original file alone, so that no other one is taken for it.

    Args:
        rows: of the manifest
        prefixed (False): whether names have Label Studio's prefix
    """

    def __init__(self, rows: Sequence[Row], prefixed: bool = False):
        self._prefixed = prefixed
        self._exact: dict[str, set[str]] = defaultdict(set)
        self._last: dict[str, set[str]] = defaultdict(set)
        self._cleaned: dict[str, set[str]] = defaultdict(set)
        self._originals: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for row in exported(rows):
            path = _path(row.exported or row.filepath)
            self._exact[path].add(row.id)
            for form in _forms(path):
                last = PurePosixPath(form).name
                self._last[last].add(row.id)
                self._cleaned[_clean(last)].add(row.id)
        for row in rows:
            for form in _forms(_path(row.filepath)):
                self._originals[_ending(form)].add((row.id, form))

    def find(self, name: str) -> set[str]:
        """Return the ids of the samples whose picture a name may mean: its path in the export, or its file name.

        A path that ends as the original file's does is evidence too: where it contradicts the file name, both are found.
        """
        for form in self._readings(name):
            named, original = self._last.get(PurePosixPath(form).name, set()), self._by_original(form)
            found = self._exact.get(form) or (named if named & original else named | original)
            if found:
                return found
        last_parts = [PurePosixPath(form).name for form in self._without_prefix(name)]
        return next(filter(None, (self._cleaned.get(_clean(last)) for last in last_parts)), set())

    def _readings(self, name: str) -> Iterator[str]:
        """Yield a name as it is, as a URL, and without Label Studio's prefix."""
        yield from map(_path, _plain(name))
        yield from self._without_prefix(name)

    def _without_prefix(self, name: str) -> list[str]:
        """Return a name without Label Studio's prefix, as it is and as a URL; none where it has no such prefix."""
        paths = [PurePosixPath(_path(form)) for form in _plain(name) if self._prefixed]
        return [str(p.with_name(_PREFIX.sub("", p.name, count=1))) for p in paths if _PREFIX.match(p.name)]

    def _by_original(self, form: str) -> set[str]:
        """Return the samples whose original file has this folder and name; of several, those whose paths agree furthest."""
        agreed = {one: _agreement(form, one[1]) for one in self._originals.get(_ending(form), ())}
        furthest = max(agreed.values(), default=0)
        return {one[0] for one, number in agreed.items() if number == furthest}


def match(rows: Sequence[Row], pictures: Sequence[Picture]) -> tuple[dict[str, Picture], dict[str, str]]:
    """Find the sample of each annotated picture.

    Args:
        rows: of the manifest
        pictures: all of a file

    Returns:
        sample id -> picture, and name -> why no sample is found; an ambiguous name has none
    """
    known, names = {row.id for row in exported(rows)}, Pictures(rows, _prefixed(one.name for one in pictures))
    found = [({one.id} if one.id in known else names.find(one.name), one) for one in pictures]
    claims = Counter(sample_id for ids, _ in found for sample_id in ids)
    matched, problems = {}, {}
    for ids, picture in found:
        rivals = max((claims[sample_id] for sample_id in ids), default=0)
        if len(ids) > 1:
            problems[picture.name] = f"ambiguous: {len(ids)} pictures fit this name"
        elif rivals > 1:
            problems[picture.name] = f"ambiguous: {rivals} names fit the same picture of the export"
        elif ids & known:
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


def _plain(name: str) -> tuple[str, str]:
    return name, unquote(name).rpartition("?d=")[2]


def _prefixed(names: Iterable[str]) -> bool:
    """Return whether all names of a file have Label Studio's prefix, and not only dates or other numbers of that length."""
    found = [_PREFIX.match(PurePosixPath(_path(_plain(name)[1])).name) for name in names]
    return all(found) and not all(one[1].isdigit() for one in found if one)


def _clean(name: str) -> str:
    return _CLEANED.sub("", name.replace(" ", "_"))
