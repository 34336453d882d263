"""A step in a thread: its progress as a stream, and its end when it is cancelled or its reader goes."""

import threading

import pytest

from tests import support

import fiftyone.operators as foo  # isort: skip


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


def test_it_says_how_far_it_is_until_it_has_its_result(streams):
    told, go_on = [], threading.Event()

    def work(report):
        report("Working", 1, 8)
        go_on.wait(10)
        return 51

    running = streams.Running("A step", work)
    for _ in running.stream():
        told.append((running.words, running.share))
        go_on.set()
    assert told[0] == ("Working: 1 of 8", 0.125)
    assert (running.result, running.ended) == (51, True)


def test_an_error_of_the_work_is_raised_to_the_reader(streams):
    def work(report):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(streams.Running("A step", work).stream())


def test_cancelling_a_step_by_its_id_ends_the_work(streams):
    started, ended = threading.Event(), threading.Event()
    running = streams.Running("A step", endless(started, ended))
    assert started.wait(10)
    foo.execute_operator(support.uri("cancel_step"), params={"id": running.id})
    with pytest.raises(streams.Cancelled):
        list(running.stream())
    assert ended.is_set()
    foo.execute_operator(support.uri("cancel_step"), params={"id": running.id})  # it has ended


def test_closing_the_stream_ends_the_work(streams):
    started, ended = threading.Event(), threading.Event()
    stream = streams.Running("A step", endless(started, ended)).stream()
    next(stream)
    stream.close()
    assert ended.wait(10)


def test_a_stream_that_nobody_reads_any_more_ends_the_work_though_it_was_never_closed(streams, monkeypatch):
    monkeypatch.setattr(streams, "ABANDONED", 0.2)
    started, ended = threading.Event(), threading.Event()
    stream = streams.Running("A step", endless(started, ended)).stream()
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

    running = streams.Running("A step", work)
    list(running.stream())
    assert running.result == "done"
