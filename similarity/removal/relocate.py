"""Move one file so that, killed at any moment, its bytes are complete in one of two places, or in both.

Neither the plain rename, which replaces silently what is at the target, nor ``shutil.move``, which a kill leaves half done
across file systems.
"""

import contextlib
import errno
import os
import shutil
from hashlib import blake2b
from pathlib import Path

from ..engine import images

_PARTIAL = ".onlyone-partial-"

# What file systems without hard links answer, and Linux for files of somebody else's.
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Occupied(Exception):
    """There is another file at the target."""


def relocate(origin: Path, target: Path) -> None:
    """Move a file; one whose move was interrupted is moved the rest of the way.

    Across file systems it is copied, the copy read back and compared, and only then deleted at its origin.

    Raises:
        Occupied: if a file of other content is at the target; neither is touched
        FileNotFoundError: if it is in neither place
        OSError: if it cannot be moved; it is at its origin then
    """
    clean(origin, target)
    if not os.path.lexists(origin) and os.path.lexists(target):
        return
    if os.path.lexists(target):
        if not _equal(origin, target):
            raise Occupied(target)
        origin.unlink()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _put(origin, target):
        _copy(origin, target)
        origin.unlink()


def _put(origin: Path, target: Path) -> bool:
    """Give a file its new name and take its old one; False if the two are on different file systems."""
    try:
        os.link(origin, target, follow_symlinks=False)
    except FileExistsError as error:
        raise Occupied(target) from error
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        if error.errno not in _NO_LINKS:
            raise
        return _rename(origin, target)
    try:
        origin.unlink()
    except OSError:
        target.unlink()
        raise
    return True


def _rename(origin: Path, target: Path) -> bool:
    if os.path.lexists(target):
        raise Occupied(target)
    try:
        origin.rename(target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    return True


def _copy(origin: Path, target: Path) -> None:
    partial = _partial(target)
    try:
        with origin.open("rb") as source, partial.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copystat(origin, partial)
        with contextlib.suppress(OSError):  # only the administrator may give files away
            os.chown(partial, origin.stat().st_uid, origin.stat().st_gid)
        if images.digest(partial) != images.digest(origin):
            raise OSError(errno.EIO, "the copy differs from the original", str(origin))
        _put(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def clean(*paths: Path) -> None:
    """Delete the incomplete copies that a killed process may have left beside these paths."""
    for path in paths:
        _partial(path).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to disk."""
    if os.name == "nt":
        return  # folders cannot be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _partial(target: Path) -> Path:
    # Not the file's name with an ending: names may be as long as the file system allows.
    return target.with_name(_PARTIAL + blake2b(os.fsencode(target.name), digest_size=8).hexdigest())


def _equal(one: Path, other: Path) -> bool:
    if one.is_symlink() or other.is_symlink():
        return False
    if one.samefile(other):
        return True
    return one.is_file() and other.is_file() and images.digest(one) == images.digest(other)
