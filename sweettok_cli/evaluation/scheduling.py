"""How the system shares the processor among threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def scheduling_kept() -> Iterator[None]:
    """Let no library change how this thread, and threads started inside the block, are scheduled.

    SVT-AV1, run as root (as in most containers), makes the calling thread and all of its own real-time
    threads (``SCHED_FIFO``, priority 99). All threads that the caller starts from then on inherit that, those
    of torch too: where two of them wait for a third by asking again and again, it never gets its turn.

    On leaving, this thread has what it had, and so has every thread of the process that came in between. Does
    nothing where the system offers no such call (macOS, Windows).
    """
    if not hasattr(os, "sched_setscheduler") or not _THREADS.is_dir():
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        yield
    finally:
        for thread in {0} | (_threads() - before):
            # Some have ended meanwhile; where a sandbox forbids the call, nothing has been changed either.
            with suppress(OSError):
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, param)


def _threads() -> set[int]:
    return {int(entry.name) for entry in _THREADS.iterdir()}
