from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sweettok_cli.pipeline import threads
from sweettok_cli.pipeline.threads import read_ahead, write_behind


def wait_for(condition: Callable[[], bool]) -> None:
    """On a busy machine for minutes; only what is broken never comes."""
    give_up = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.001)


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_read_ahead_keeps_order_and_ends_its_thread() -> None:
    assert list(read_ahead(iter(range(100)), depth=3)) == list(range(100))
    assert "read-ahead" not in names()


def test_read_ahead_runs_at_most_depth_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    ahead = read_ahead(items(), depth=2)
    for taken, _ in enumerate(ahead, 1):
        # Two are queued, one waits for room: so many come, however long it takes, and no more.
        wait_for(lambda: len(made) >= min(taken + 3, 50))  # noqa: B023 - called at once
        assert len(made) == min(taken + 3, 50)


def test_an_error_in_the_producer_arrives_after_its_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("broken")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="broken"):
        next(ahead)


def test_stopping_early_closes_the_producer() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    ahead = read_ahead(items())
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert "read-ahead" not in names()


def test_write_behind_writes_all_in_order() -> None:
    written: list[int] = []
    with write_behind(written.append, depth=3) as write:
        for number in range(50):
            write(number)
    assert written == list(range(50))
    assert "write-behind" not in names()


def test_an_error_of_the_writer_reaches_the_caller() -> None:
    def fail(item: int) -> None:
        if item == 2:
            raise OSError("full")

    with pytest.raises(OSError, match="full"), write_behind(fail, depth=1) as write:
        for number in range(1000):
            write(number)
    with pytest.raises(OSError, match="full"), write_behind(fail, depth=9) as write:
        write(2)


def test_an_error_of_the_caller_discards_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    stopped = threading.Event()

    def slow(item: int) -> None:
        stopped.wait(600)  # the first is still being written when the caller fails
        written.append(item)

    stop = threads._Worker.stop

    def stop_and_tell(worker: threads._Worker) -> None:
        worker.stopped.set()
        stopped.set()
        stop(worker)

    monkeypatch.setattr(threads._Worker, "stop", stop_and_tell)
    with pytest.raises(KeyboardInterrupt), write_behind(slow, depth=20) as write:
        for number in range(20):
            write(number)
        raise KeyboardInterrupt
    assert written in ([], [0])
    assert "write-behind" not in names()


def interrupted_start(thread: threading.Thread, begins: bool) -> None:
    """What a signal does that hits while a thread is started: before the thread runs, or after."""
    if begins:
        START(thread)
    raise KeyboardInterrupt


START = threading.Thread.start


@pytest.mark.parametrize("begins", [False, True])
def test_an_interrupt_while_the_thread_starts_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, begins: bool
) -> None:
    def items() -> Iterator[int]:
        while True:
            time.sleep(0.01)
            yield 1

    source = items()
    monkeypatch.setattr(threading.Thread, "start", lambda thread: interrupted_start(thread, begins))
    with pytest.raises(KeyboardInterrupt):
        next(read_ahead(source))
    source.close()  # "generator already executing" while a thread is inside
    with pytest.raises(KeyboardInterrupt), write_behind(print, depth=1) as write:
        write(1)
    assert not {"read-ahead", "write-behind"} & names()
