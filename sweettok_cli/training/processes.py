"""The processes of a run: how they find each other, and how they are asked to stop."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, parse_flag_from_env, patch_environment

from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import resolve_precision

_SHARED_OUT = "ACCELERATE_USE_FSDP"
_REFUSED = {
    "ACCELERATE_USE_DEEPSPEED": ("DeepSpeed", "share networks out with --use_fsdp"),
    "ACCELERATE_USE_MEGATRON_LM": ("Megatron-LM", "share networks out with --use_fsdp"),
    "FSDP_OFFLOAD_PARAMS": ("--fsdp_offload_params", "use more devices, or gradient_checkpointing"),
}
# The first process validates while the others wait for it.
_PATIENCE = timedelta(hours=3)


def join(precision: str, unused_parameters: bool) -> tuple[Accelerator, str]:
    """This process among those that were started with it, and ``bf16`` or ``fp32``.

    Raises:
        SweettokError: ``accelerate launch`` was asked for several processes and started this one alone, or
            was asked for what is not known here.
    """
    # Told so, Accelerate also joins many processes on a machine without an accelerator.
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    for flag, (how, remedy) in _REFUSED.items():
        if parse_flag_from_env(flag):
            raise SweettokError(f"Training does not know {how}; {remedy}.")
    # What is shared out here, and how, Accelerate knows for accelerators alone, and for one optimizer.
    with patch_environment(**{_SHARED_OUT: "false"}):
        resolved = resolve_precision(precision, PartialState(cpu=cpu, timeout=_PATIENCE).device)
        unused = DistributedDataParallelKwargs(find_unused_parameters=unused_parameters)
        mixed = "bf16" if resolved == "bf16" else "no"
        AcceleratorState._reset_state()  # a run before, in this process, may have had another precision
        accelerator = Accelerator(cpu=cpu, mixed_precision=mixed, kwargs_handlers=[unused])
    if accelerator.num_processes == 1 and _left_alone():
        raise SweettokError(
            "accelerate launch --cpu starts one process, whatever --num_processes says; leave out --cpu, and "
            "start several, also on processors, with: accelerate launch --multi_gpu --num_processes 2 "
            "-m sweettok_cli train ..."
        )
    # It is about speed, and about a few small convolutions only.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return accelerator, resolved


def shares_out(accelerator: Accelerator) -> bool:
    """Whether ``accelerate launch --use_fsdp`` or its configuration asked to shard what these train."""
    return parse_flag_from_env(_SHARED_OUT) and accelerator.num_processes > 1


def _left_alone() -> bool:
    """Whether ``accelerate launch`` named a place to meet, as it does for several, and then no others."""
    return {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys() and "RANK" not in os.environ


@contextmanager
def asked_to_stop(say: Callable[[str], None], processes: int = 1) -> Iterator[Event]:
    """In the block, the first Ctrl-C or SIGTERM sets the event; a second one acts as it always did.

    Launchers of several processes pass on what the terminal has sent already: there, all only set the event,
    and who waits too long for the end is killed by the launcher.
    """
    asked, speakers = Event(), list[Thread]()

    def note(number: int, frame: FrameType | None) -> None:
        again = asked.is_set()
        asked.set()
        if processes > 1:
            if not again:
                tell("Stopping after this step, to save it.")
            return
        restore()
        tell("Stopping after this step, to save it; once more stops at once.")

    def tell(text: str) -> None:
        # Not by this thread, which may be in the middle of a line: a buffer cannot be written from within.
        speakers.append(Thread(target=say, args=(text,), name="stopping"))
        speakers[-1].start()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        restore()
        for speaker in speakers:
            speaker.join()
