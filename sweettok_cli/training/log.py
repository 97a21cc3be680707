"""The run's log: one JSON object a line, and one line a human."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sweettok_cli.files import atomic_output
from sweettok_cli.runtime import OnProgress, ignore_progress
from sweettok_cli.training.tracker import Tracker

_SAMPLES = {".png": "samples/sheet", ".mp4": "samples/video"}
_MEASURED = ("train", "validate")  # kinds of records that hold figures


class Voice(Protocol):
    """Whom a run tells what it does; the command line's output is one."""

    def say(self, text: str) -> None:
        """A line of talk."""

    def warn(self, text: str) -> None:
        """A line that should not be missed."""

    def progress(self, label: str, unit: str) -> AbstractContextManager[OnProgress]:
        """How far something is that takes a while."""

    def watch(self, unit: str) -> AbstractContextManager[OnProgress]:
        """How far the steps are; records come meanwhile."""

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        """What the log holds, and that in short; it is ``new``, or of before the run went on."""


class Mute:
    """The voice of all processes but the first."""

    def say(self, text: str) -> None:
        """Nothing."""

    warn = say

    @contextmanager
    def progress(self, label: str, unit: str) -> Iterator[OnProgress]:
        """Nothing."""
        yield ignore_progress

    def watch(self, unit: str) -> AbstractContextManager[OnProgress]:
        """Nothing."""
        return self.progress("", unit)

    def record(self, record: Mapping[str, Any], sentence: str, new: bool) -> None:
        """Nothing."""


class Journal:
    """Appends records to ``log.jsonl``: ``step``, ``kind`` and more; a tracker is given their figures.

    Kinds are ``train``, ``validate``, and ``event`` and ``warning``, which say in words what happened.
    """

    def __init__(self, path: Path, voice: Voice):
        self.path, self.voice = path, voice
        self.tracker: Tracker | None = None

    def rewind(self, step: int) -> int:
        """Drop records after ``step``: what was logged beyond the checkpoint happens again.

        Returns the last step that there was a record of, -1 if there was none.
        """
        if not self.path.exists():
            return -1
        lines = self.path.read_text(encoding="utf-8").splitlines()
        steps = [_step(line) for line in lines]
        kept = [line for line, at in zip(lines, steps, strict=True) if at is not None and at <= step]
        with atomic_output(self.path, force=True) as part:
            part.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        for record in map(json.loads, kept):
            if record["kind"] in _MEASURED:
                self._tell(record, new=False)
        return max((at for at in steps if at is not None), default=-1)

    def validation(self, step: int) -> dict[str, Any] | None:
        """The figures of the last validation after ``step`` steps, and if it was the ``best``; or None."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        records = [json.loads(line) for line in lines if _step(line) == step]
        found = [record for record in records if record["kind"] == "validate"]
        return {k: v for k, v in found[-1].items() if k not in ("kind", "step")} if found else None

    def track(self, tracker: Tracker) -> None:
        """Let a tracker have all figures from now on, and those of before if it has nothing of the run."""
        self.tracker = tracker
        if tracker.fresh and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self._track(json.loads(line))

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record and say it in short."""
        record = {"kind": kind, "step": step, **values}
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        self._tell(record, new=True)
        self._track(record)

    def show(self, step: int, files: Iterable[Path]) -> None:
        """Let the tracker have samples: the sheet and the video."""
        if self.tracker is not None:
            for file in files:
                self.tracker.sample(step, _SAMPLES[file.suffix], file)

    def close(self) -> None:
        """End the tracker's part."""
        if self.tracker is not None:
            tracker, self.tracker = self.tracker, None
            tracker.close()

    def _tell(self, record: Mapping[str, Any], new: bool) -> None:
        self.voice.record(record, _sentence(record), new)

    def _track(self, record: Mapping[str, Any]) -> None:
        if self.tracker is not None and record["kind"] in _MEASURED:
            self.tracker.figures(record["step"], dict(_figures(record["kind"], record)))


def _figures(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number of a record, by the path that leads to it: ``train/losses/l2``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _figures(f"{prefix}/{name}", value)
        elif isinstance(value, int | float) and name != "step":
            yield f"{prefix}/{name}", float(value)


def _step(line: str) -> int | None:
    """Step of a record; a line cut off by a kill belongs to no checkpoint."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


def _sentence(record: Mapping[str, Any]) -> str:
    step = f"step {record['step']}"
    if record["kind"] == "train":
        use = "/".join(f"{100 * book['use']:.0f}" for book in record.get("codebooks", {}).values())
        parts = [
            f"{step}  loss {record['loss']:.5f}",
            f"psnr {record['psnr']:.2f} dB" if "psnr" in record else "",
            f"{record['tokens']:.0f} tokens a clip" if "tokens" in record else "",
            f"{record['bits']:.3f} bits a symbol" if "bits" in record else "",
            f"lr {record['lr']:.2e}  grad {record['grad_norm']:.2f}",
            f"codebooks {use} %" if use else "",
            f"{record['seconds_per_step']:.2f} s a step (data {record['data_wait']:.2f} s)",
        ]
        return "  ".join(part for part in parts if part)
    if record["kind"] == "validate" and "bits_per_token" in record:
        bits = f"{record['bits_per_token']:.2f} bits a token, {record['ratio']:.3f} times fewer than nominal"
        files = f"of {record['clips']} token file{'s' * (record['clips'] != 1)} (averaged weights)"
        return f"{step}  validation {bits}, {files}{', the best so far' * bool(record.get('best'))}"
    if record["kind"] == "validate":
        which = "psnr" if "psnr" in record else "picture_psnr"
        what = f"the first {record['frames']} frames" if which == "psnr" else "first frames alone"
        clips = f"of {what} of {record['clips']} clip{'s' * (record['clips'] != 1)} (averaged weights)"
        best = ", the best so far" if record.get("best") else ""
        return f"{step}  validation psnr {record[which]:.2f} dB {clips}{best}"
    return f"{step}  {record['event']}"
