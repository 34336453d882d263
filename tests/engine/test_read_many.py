"""Reading many files: in order, ahead by a bound, and without a thread left behind."""

import threading
import time
from itertools import count

import pytest
from PIL import Image

from similarity.engine import images


@pytest.fixture
def folder(tmp_path):
    """Forty pictures of rising grey beside white; every seventh is broken."""
    paths = []
    for number in range(40):
        path = tmp_path / f"{number}.png"
        if number % 7 == 6:
            path.write_bytes(b"broken")
        else:
            picture = Image.new("RGB", (40, 30), "white")
            picture.paste((number,) * 3, (0, 0, 20, 30))
            picture.save(path)
        paths.append(path)
    return paths


@pytest.mark.parametrize(("workers", "ahead"), [(None, 64), (1, 1), (4, 3)])
def test_read_many_keeps_the_order(folder, workers, ahead):
    pictures = list(images.read_many(folder, workers=workers, ahead=ahead))
    greys = [None if picture.error else int(picture.pixels[0, 0, 0]) for picture in pictures]
    assert greys == [None if number % 7 == 6 else number for number in range(40)]


def test_read_many_reads_ahead_no_further_than_told(folder):
    taken = count()
    position = -1

    def paths():
        nonlocal position
        for path in folder:
            position = next(taken)
            yield path

    pictures = images.read_many(paths(), workers=2, ahead=5)
    for done, _ in enumerate(pictures, start=1):
        assert position + 1 <= done + 5
    assert done == len(folder)


def test_closing_read_many_early_stops_its_threads(folder):
    pictures = images.read_many(folder, workers=3, ahead=10)
    next(pictures)
    assert decoders()
    pictures.close()
    assert not decoders()


def test_an_error_in_the_paths_reaches_the_consumer_and_stops_the_threads(folder):
    def paths():
        yield from folder[:3]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        list(images.read_many(paths(), workers=2))
    deadline = time.monotonic() + 5
    while decoders() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not decoders()


def decoders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("onlyone-decode")]
