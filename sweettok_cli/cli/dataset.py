"""``sweettok encode`` of whole data sets: its options, how far it is, and the line a minute for a log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from sweettok_cli.cli.output import FAILED, Output, printed, shown
from sweettok_cli.cli.progress import SECONDS_BETWEEN_LINES, new_bar
from sweettok_cli.cli.shards import totals_text
from sweettok_cli.errors import SweettokError, WrongUsage, option

if TYPE_CHECKING:
    from sweettok_cli.pipeline.batch import Result
    from sweettok_cli.pipeline.cluster import Ray
    from sweettok_cli.pipeline.dataset import Settings
    from sweettok_cli.pipeline.plan import Job
    from sweettok_cli.video.inputs import Given

WorkersOption = Annotated[
    int | None,
    Option(
        "--workers",
        min=1,
        metavar="N",
        help="Of a data set: processes that encode side by side, each with the model.",
        show_default="one, or one a GPU; of Ray, one for every two cores",
    ),
]
ShardOption = Annotated[
    str | None,
    Option(
        "--shard",
        metavar="I/N",
        help="Of a data set: encode the I-th of N parts; others may encode theirs elsewhere.",
        show_default="all, or that of this process under torchrun",
    ),
]
RetryOption = Annotated[
    bool, Option("--retry-failed", help="Of a data set: try again what could not be encoded before.")
]


Engine = StrEnum("Engine", ["local", "ray"])
EngineOption = Annotated[
    Engine,
    Option(
        "--engine",
        help="Of a data set: what encodes: processes on this machine, or actors of Ray, on a cluster that "
        "shares the folders, or on this machine.",
    ),
]
RayAddressOption = Annotated[
    str | None,
    Option(
        "--ray-address",
        metavar="HOST:PORT|auto",
        help="With --engine ray: a cluster that is there; auto looks for one on this machine.",
        show_default="$RAY_ADDRESS, or a cluster of its own on this machine",
    ),
]

Format = StrEnum("Format", ["npz", "webdataset", "parquet", "megatron"])
FormatOption = Annotated[
    Format,
    Option(
        "--format",
        help="Of a data set: beside token files, shards of all of them in its folder, as `sweettok export` "
        "writes them.",
    ),
]


class DataSetProgress:
    """How far a data set is, a :class:`~sweettok_cli.pipeline.encode_dataset.Watch`.

    A bar on a terminal; where there is none, and somebody listens, a JSON object a minute on stderr.
    """

    def __init__(self, out: Output, again: Sequence[str] = ()) -> None:
        """Nothing has begun; ``again`` are options with which to go on after an interruption."""
        self._out, self.again = out, again
        self._lock = Lock()
        self._bar = new_bar() if out.watched() else None
        self._start = self._told = time.monotonic()
        self._at: Job | None = None  # the source that this process is at, if it does not leave that to others
        self._at_size, self._at_share = 0, 0.0
        self._size, self._read = 0, 0  # bytes of all sources, and of those that are over
        self.jobs = self.place = self.failed = self.clips = 0
        self.frames, self.seconds = 0, 0.0  # of video that was encoded

    def begin(self, jobs: int, size: int) -> None:
        """As :meth:`Watch.begin`."""
        self.jobs, self._size = jobs, size
        self._start = self._told = time.monotonic()

    def part(self, job: Job, done: float, total: int | None) -> None:
        """As :meth:`Watch.part`."""
        if job is not self._at:
            from sweettok_cli.pipeline.encode_dataset import bytes_of

            self._at, self._at_size = job, bytes_of(job)
        self._at_share = min(1.0, done / total) if total else 0.0
        self.tick()

    def over(self, result: Result, size: int) -> None:
        """As :meth:`Watch.over`."""
        with self._lock:
            self.place, self._read, self._at_share = self.place + 1, self._read + size, 0.0
            self.failed += result.error is not None
            if result.meta is not None:
                self.clips += result.meta.clips
                self.frames += result.meta.frames
                self.seconds += 0.0 if result.meta.image else result.meta.frames / float(result.meta.rate)
        self.tick()

    def tick(self) -> None:
        """As :meth:`Watch.tick`."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._share(), text=shown(self.text()))
        elif time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self._told = time.monotonic()
            self._out.say(json.dumps(self.record()))

    def _share(self) -> float:
        """How much of all is done; sources take as long as they are large."""
        if self._size:
            return (self._read + self._at_share * self._at_size) / self._size
        return self.place / self.jobs if self.jobs else 0.0

    def record(self) -> dict[str, float | None]:
        """How far it is, for programs: rates are those since it began."""
        elapsed, share = max(1e-9, time.monotonic() - self._start), self._share()
        return {
            "elapsed": round(elapsed, 1),
            "videos": self.place,
            "of": self.jobs,
            "failed": self.failed,
            "clips": self.clips,
            "frames": self.frames,
            "clips_per_second": round(self.clips / elapsed, 3),
            "frames_per_second": round(self.frames / elapsed, 2),
            "times_real_time": round(self.seconds / elapsed, 3),
            "left": round(elapsed * (1 - share) / share) if share else None,
        }

    def text(self) -> str:
        """How far it is, for people."""
        now = self.record()
        parts = [
            f"{self.place}/{self.jobs} videos",
            f"{now['clips_per_second']:.1f} clips/s",
            f"{now['times_real_time']:.2f}x real time",
            f"{self.failed} failed",
        ]
        if now["left"] is not None:
            minutes, seconds = divmod(int(now["left"]), 60)
            parts.append(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")
        return ", ".join(parts)

    def watched(self, results: Iterator[Result]) -> Iterator[Result]:
        """The same results; the bar is there while they are waited for, and not while they are told."""
        while True:
            with self._bar or nullcontext():
                result = next(results, None)
            if result is None:
                return
            yield result


def is_data_set(inputs: Sequence[Given], output: Path | None, batch: bool, **asked: object) -> bool:
    """Whether a folder, tar file or list of this machine is encoded into a folder, which then has a manifest.

    Raises:
        WrongUsage: that is not so, and an option is ``asked`` for that data sets have.
    """
    from sweettok_cli.pipeline.plan import is_many

    here = all(isinstance(each, Path) for each in inputs)
    if output is not None and batch and here and any(map(is_many, inputs)):
        return True
    if given := next((name for name, value in asked.items() if value), None):
        raise WrongUsage(
            f"{option(given)} is of data sets; name a folder, tar file or list of videos on this machine, "
            f"and a folder to write into with {option('output')}."
        )
    return False


def exported(
    results: Iterator[Result],
    folder: Path,
    kind: Format,
    settings: Settings,
    ending: str,
    out: Output,
    also: dict[str, Any],
) -> Iterator[Result]:
    """The same results; behind them the data set is exported, unless its shards are of these tokens.

    Where the shards are is printed, and said in ``also``. What cannot be exported follows as results.
    """
    yield from results
    from sweettok_cli.pipeline.batch import Result
    from sweettok_cli.pipeline.export_dataset import export_dataset, shards_in
    from sweettok_cli.sequences.shards import is_shards

    target = shards_in(folder, kind.value)
    try:
        done = export_dataset(folder, kind.value, settings, ending, out.overall("clips").watch)
    except SweettokError as error:
        yield Result(target, None, "failed", error)
        return
    for path, why in done.failed if done else []:
        yield Result(path, None, "failed", why)
    if done is None and not is_shards(target):
        return  # nothing was encoded, now or before
    also["shards"] = str(target)
    if done is None:
        out.say(f"{target}: of these token files.")
    else:
        out.say(f"{target}: {totals_text(done.record)}.")
    if not out.json:
        print(printed(target), flush=True)


@contextmanager
def part_of_launch(out: Output, launched: bool) -> Iterator[None]:
    """In the block, sources that fail do not make the exit code 1 where ``torchrun`` started this part.

    It would end all other parts at once, and again whenever they go on.
    """
    try:
        yield
    except typer.Exit as end:
        if not launched or end.exit_code != FAILED:
            raise
        out.warn(
            "The exit code is 0 all the same, for others would be ended with this part; see above, and "
            "manifest.parquet, for what failed."
        )


def ray_of(engine: Engine, address: str | None, device: str) -> Ray | None:
    """What ``--engine`` and ``--ray-address`` say.

    Raises:
        WrongUsage: an address is given, and Ray is not.
    """
    from sweettok_cli.pipeline.cluster import Ray

    if engine is Engine.ray:
        return Ray(address or os.environ.get("RAY_ADDRESS") or None, device)
    if address is not None:
        raise WrongUsage(f"{option('ray_address', address)} is of Ray; add {option('engine', 'ray')}.")
    return None


def devices_of(name: str) -> list[str]:
    """The devices that processes are shared out among: every GPU; of torchrun's processes, one each."""
    from sweettok_cli.runtime import pick_device

    device = pick_device(name)
    if device.type != "cuda":
        return [device.type]
    import torch

    number = torch.cuda.device_count()
    local = os.environ.get("LOCAL_RANK", "")
    if local.isdecimal():
        return [f"cuda:{int(local) % number}"]
    return [f"cuda:{place}" for place in range(number)]
