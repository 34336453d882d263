"""A step's progress as a stream: what it yields, and how it ends when its reader goes."""

import threading

import pytest

from tests import support


@pytest.fixture
def streams():
    return support.plugin("operators.progress")


def endless(started: threading.Event, ended: threading.Event):
    """Work that reports until it is cancelled."""

    def work(report):
        try:
            started.set()
            while True:
                report("Working", 0, 1)
                ended.wait(0.01)
        finally:
            ended.set()

    return work


def test_progress_comes_before_the_result(streams):
    def work(report):
        report("Working", 1, 2)
        return 51

    assert list(streams.stream(work)) == [("progress", ("Working", 1, 2)), ("result", 51)]


def test_an_error_of_the_work_is_raised_to_the_reader(streams):
    def work(report):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(streams.stream(work))


def test_closing_the_stream_ends_the_work(streams):
    started, ended = threading.Event(), threading.Event()
    stream = streams.stream(endless(started, ended))
    next(stream)
    stream.close()
    assert ended.wait(10)


def test_a_stream_that_nobody_reads_any_more_ends_the_work_though_it_was_never_closed(streams, monkeypatch):
    monkeypatch.setattr(streams, "ABANDONED", 0.2)
    started, ended = threading.Event(), threading.Event()
    stream = streams.stream(endless(started, ended))
    next(stream)
    assert ended.wait(10)
    stream.close()


def test_a_slow_step_is_not_taken_for_a_reader_that_went(streams, monkeypatch):
    monkeypatch.setattr(streams, "ABANDONED", 0.2)

    def work(report):
        report("Working", 0, 2)
        threading.Event().wait(0.6)
        report("Finishing", 1, 2)
        return "done"

    assert list(streams.stream(work))[-1] == ("result", "done")
