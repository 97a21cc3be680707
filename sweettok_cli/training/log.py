"""The run's log: one JSON object a line, and one line a human."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from sweettok_cli.files import atomic_output
from sweettok_cli.runtime import OnProgress, ignore_progress


class Voice(Protocol):
    """Whom a run tells what it does; the command line's output is one."""

    def say(self, text: str) -> None:
        """A line of talk."""

    def warn(self, text: str) -> None:
        """A line that should not be missed."""

    def progress(self, label: str, unit: str) -> AbstractContextManager[OnProgress]:
        """How far something is that takes a while."""


class Mute:
    """The voice of all processes but the first."""

    def say(self, text: str) -> None:
        """Nothing."""

    warn = say

    @contextmanager
    def progress(self, label: str, unit: str) -> Iterator[OnProgress]:
        """Nothing."""
        yield ignore_progress


class Journal:
    """Appends records to ``log.jsonl``: ``step``, ``kind`` and more.

    Kinds are ``train``, ``validate``, and ``event`` and ``warning``, which say in words what happened.
    """

    def __init__(self, path: Path, voice: Voice):
        self.path, self.voice = path, voice

    def rewind(self, step: int) -> None:
        """Drop records after ``step``: what was logged beyond the checkpoint happens again."""
        if not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        with atomic_output(self.path, force=True) as part:
            part.write_text("".join(line + "\n" for line in lines if _step(line) <= step), encoding="utf-8")

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record and say it in short."""
        record = {"kind": kind, "step": step, **values}
        with open(self.path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
        if kind == "warning":
            self.voice.warn(record["event"])
        else:
            self.voice.say(_sentence(record))


def _step(line: str) -> int:
    """Step of a record; a line cut off by a kill belongs to no checkpoint."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 62


def _sentence(record: dict[str, Any]) -> str:
    step = f"step {record['step']}"
    if record["kind"] == "train":
        use = "/".join(f"{100 * book['use']:.0f}" for book in record.get("codebooks", {}).values())
        parts = [
            f"{step}  loss {record['loss']:.5f}",
            f"psnr {record['psnr']:.2f} dB" if "psnr" in record else "",
            f"lr {record['lr']:.2e}  grad {record['grad_norm']:.2f}",
            f"codebooks {use} %" if use else "",
            f"{record['seconds_per_step']:.2f} s a step (data {record['data_wait']:.2f} s)",
        ]
        return "  ".join(part for part in parts if part)
    if record["kind"] == "validate":
        which = "psnr" if "psnr" in record else "picture_psnr"
        what = f"the first {record['frames']} frames" if which == "psnr" else "first frames alone"
        clips = f"of {what} of {record['clips']} clips (averaged weights)"
        best = ", the best so far" if record.get("best") else ""
        return f"{step}  validation psnr {record[which]:.2f} dB {clips}{best}"
    return f"{step}  {record['event']}"
