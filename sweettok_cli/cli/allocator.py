"""Memory that stays flat in the length of a video."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def use_one_heap() -> None:
    """Let all threads of this process share one heap that keeps what it has; only where libc is glibc.

    By default every thread gets a heap of its own, and frames are made by one thread and freed by another.
    The few kilobytes of tokens that stay behind after every clip then break up the free space: measured on
    256x256, half a minute of video peaked 60 % higher than ten seconds, and a tenth of the time went into
    giving memory back and asking for it again. With one heap that time is gone, and memory stays flat.

    To be called before the first thread starts, which importing NumPy or torch does.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # the most it takes; larger blocks are mapped one by one
        libc.mallopt(_TRIM_THRESHOLD, 512 << 20)


def trimming(
    on_progress: Callable[[int, int | None], None], every: int = 8
) -> Callable[[int, int | None], None]:
    """``on_progress``, and every so many calls holes in the heap are given back; only where libc is glibc.

    What a hole is too small for goes to the end of the heap: over thousands of clips the process would still
    grow step by step.
    """
    import ctypes
    import platform

    if platform.libc_ver()[0] != "glibc":
        return on_progress
    trim, calls = ctypes.CDLL(None).malloc_trim, count(1)

    def report(done: int, total: int | None) -> None:
        on_progress(done, total)
        if next(calls) % every == 0:
            trim(0)

    return report
