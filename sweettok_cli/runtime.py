"""Where and how things run: device, number format, threads, memory, versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError, option

if TYPE_CHECKING:
    import torch

# What takes long to import is imported by the functions that need it; some must happen before Torch loads.

__version__ = "0.1.0"

#: Called with what is done so far, parts of one included, and, where it is known, how much there is.
OnProgress = Callable[[float, "int | None"], None]
#: Opened around each of many jobs, with its place (from 0), the number of jobs and its name.
Watcher = Callable[[int, int, str], AbstractContextManager[OnProgress]]


def ignore_progress(done: float, total: int | None) -> None:
    """An :data:`OnProgress` for whoever does not ask."""


DTYPES = ("float32", "bfloat16", "float16")


def pick_device(name: str) -> torch.device:
    """``auto`` (CUDA, then Apple's MPS, then the CPU), or the named device if it is there.

    Raises:
        SweettokError: the device is not available.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind = name.partition(":")[0]
    if kind not in available:
        raise SweettokError(f"There is no device {name!r}; choose from auto, cpu, cuda and mps.")
    if not available[kind]:
        raise SweettokError(
            f"This machine has no {kind} device that torch can use; pass {option('device', 'cpu')}."
        )
    return torch.device(name)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16 on CUDA devices that compute in it, float32 elsewhere; or the named format.

    Raises:
        SweettokError: no such format.
    """
    import torch

    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fast else torch.float32
    if name not in DTYPES:
        raise SweettokError(f"There is no number format {name!r}; choose from auto, {', '.join(DTYPES)}.")
    return getattr(torch, name)


# What Linux calls the instructions that multiply bfloat16 natively on x86 and ARM.
_NATIVE_BF16 = {"avx512_bf16", "amx_bf16", "bf16"}


def resolve_precision(wanted: str, device: torch.device) -> str:
    """``bf16`` or ``fp32`` for ``auto``: bf16 exactly where the device has instructions for it."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        import torch

        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and bool(_NATIVE_BF16 & cpu_flags())
    return "bf16" if native else "fp32"


def cpu_flags() -> set[str]:
    """Instruction sets of the first processor as the kernel lists them; empty where it does not."""
    return set(_cpuinfo("flags", "Features").split())


def _cpuinfo(*keys: str) -> str:
    """What Linux says of the first processor under one of ``keys``; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(keys)), "")


def let_waiting_threads_sleep() -> None:
    """Before torch loads: its OpenMP threads sleep while they wait, unless the caller's environment differs.

    A video's decoding threads share the processor with the network's; those that spin while they wait take
    its time from the others (5 times slower on two busy cores).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def use_one_blas_thread() -> None:
    """Before NumPy loads: its products run on the thread that asks, unless the caller's environment differs.

    Those behind SSIM are too small to share out, and several threads measure at once; OpenBLAS's own threads
    would spin while they wait for each other.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def threads_of_each(processes: int) -> int:
    """Threads of the network in each of so many processes, which share the processors of this one.

    No more than the caller's environment allows one process (``OMP_NUM_THREADS``).
    """
    return max(1, min(threads_allowed() or cores(), cores() // processes))


def threads_allowed() -> int | None:
    """Threads of a process as the caller's environment has them (``OMP_NUM_THREADS``), where it does."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) or None if given.isdecimal() else None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# Parameters of mallopt(3), from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_one_heap = False


def use_one_heap() -> None:
    """Let all threads of this process share one heap that keeps what it has; only where libc is glibc.

    By default every thread gets a heap of its own, and frames are made by one thread and freed by another.
    The few kilobytes of tokens that stay behind after every clip then break up the free space: measured on
    256x256, half a minute of video peaked 60 % higher than ten seconds, and a tenth of the time went into
    giving memory back and asking for it again. With one heap that time is gone, and memory stays flat.

    To be called before the first thread starts, which importing NumPy or torch does.
    """
    import ctypes

    global _one_heap
    if platform.libc_ver()[0] == "glibc":
        _one_heap = True
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # the most it takes; larger blocks are mapped one by one
        libc.mallopt(_TRIM_THRESHOLD, 512 << 20)


def map_large_blocks() -> None:
    """Let the one heap leave blocks of over 16 MiB alone, those of 4K frames: a third of it would be holes.

    They are mapped one by one, for an eighth of the time. Without :func:`use_one_heap` nothing changes.
    """
    import ctypes

    if _one_heap:
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 17 << 20)


def close_holes() -> None:
    """Give back what is free inside the one heap; without :func:`use_one_heap` nothing changes."""
    import ctypes

    if _one_heap:
        ctypes.CDLL(None).malloc_trim(0)


def trimming(on_progress: OnProgress, every: int = 8) -> OnProgress:
    """``on_progress``, and every so many whole steps holes in the heap are given back; only with glibc.

    What a hole is too small for goes to the end of the heap: over thousands of clips the process would still
    grow step by step.
    """
    import ctypes

    if platform.libc_ver()[0] != "glibc":
        return on_progress
    trim, calls = ctypes.CDLL(None).malloc_trim, count(1)

    def report(done: float, total: int | None) -> None:
        on_progress(done, total)
        if isinstance(done, int) and next(calls) % every == 0:
            trim(0)

    return report


def resident_bytes() -> int:
    """Memory that this process has now, as Linux counts it; 0 elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


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


def versions() -> dict[str, str]:
    """Of the packages that pixels go through, by name."""
    from importlib import metadata

    return {name: metadata.version(name) for name in ("torch", "numpy", "av", "pillow")}


def environment() -> dict[str, str]:
    """What a figure may depend on beside the protocol, by name."""
    import av

    return {
        "processor": f"{processor()}, {os.cpu_count()} threads",
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        **versions(),
        "FFmpeg's libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
    }


def made_by(command: str) -> dict[str, Any]:
    """What makes a record now: ``sweettok`` (the version), ``command``, ``date`` (ISO 8601), ``machine``."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"sweettok": __version__, "command": command, "date": date, "machine": environment()}


def processor() -> str:
    """The processor's name as the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()
