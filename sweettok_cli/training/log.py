"""The run's log: one JSON object a line, and one line a human."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweettok_cli.files import atomic_output


class Journal:
    """Appends records to ``log.jsonl``: ``step``, ``kind`` (``train``, ``validate``, ``event``) and more."""

    def __init__(self, path: Path, say: Callable[[str], None]):
        self.path, self.say = path, say

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
        self.say(_sentence(record))


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
            f"words {use} %" if use else "",
            f"{record['seconds_per_step']:.2f} s a step (data {record['data_wait']:.2f} s)",
        ]
        return "  ".join(part for part in parts if part)
    if record["kind"] == "validate":
        clips = f"{record['clips']} clips (averaged weights)"
        return f"{step}  validation psnr {record['psnr']:.2f} dB over {clips}"
    return f"{step}  {record['event']}"
