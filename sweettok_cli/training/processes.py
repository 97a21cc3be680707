"""The processes of a run: how they find each other, and how they are asked to stop."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env

from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import resolve_precision


def join(precision: str, unused_parameters: bool) -> tuple[Accelerator, str]:
    """This process among those that were started with it, and ``bf16`` or ``fp32``.

    Raises:
        SweettokError: ``accelerate launch`` was asked for several processes and started this one alone.
    """
    # Told so, Accelerate also joins many processes on a machine without an accelerator.
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    resolved = resolve_precision(precision, PartialState(cpu=cpu).device)
    unused = DistributedDataParallelKwargs(find_unused_parameters=unused_parameters)
    mixed = "bf16" if resolved == "bf16" else "no"
    accelerator = Accelerator(cpu=cpu, mixed_precision=mixed, kwargs_handlers=[unused])
    if accelerator.num_processes == 1 and _left_alone():
        raise SweettokError(
            "accelerate launch starts one process on processors, whatever --num_processes says; start "
            "several with: torchrun --nproc_per_node 2 -m sweettok_cli train ..."
        )
    # It is about speed, and about a few small convolutions only.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return accelerator, resolved


def _left_alone() -> bool:
    """Whether ``accelerate launch`` named a place to meet, as it does for several, and then no others."""
    return {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys() and "RANK" not in os.environ


@contextmanager
def asked_to_stop(say: Callable[[str], None], processes: int = 1) -> Iterator[Event]:
    """In the block, the first Ctrl-C or SIGTERM sets the event; a second one acts as it always did.

    Launchers of several processes pass on what the terminal has sent already: there, all only set the event,
    and who waits too long for the end is killed by the launcher.
    """
    asked = Event()

    def note(number: int, frame: FrameType | None) -> None:
        again = asked.is_set()
        asked.set()
        if processes > 1:
            if not again:
                say("Stopping after this step, to save it.")
            return
        restore()
        say("Stopping after this step, to save it; once more stops at once.")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        restore()
