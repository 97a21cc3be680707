"""The folder that everything is made in, the commands run in it, and what was found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digests import sha256

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = "sweettok-small"
SECTIONS = (
    *("inputs", "tokens", "decoded", "info", "eval", "report", "roundtrip", "help", "training", "errors"),
)


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@dataclass
class Bench:
    """The folder that everything is made in, the models, and what was found."""

    work: Path
    models: Path
    texts: Path
    wanted: list[str]
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def sections(self) -> dict[str, dict[str, Any]]:
        """What was found of what was asked for, in order."""
        found = dict(self.found)
        return {
            name: dict(sorted(found.get(name, {}).copy().items())) for name in SECTIONS if name in self.wanted
        }

    def keep(self, section: str, name: str, value: Any) -> None:
        """Record a small value as it is."""
        entries = self.found.setdefault(section, {})
        if name in entries:
            raise RuntimeError(f"{section}: {name} is recorded twice")
        entries[name] = value

    def keep_text(self, section: str, name: str, text: str) -> None:
        """Record the digest of a text, and keep the text for diff."""
        file = self.texts / section / (re.sub(r"[^\w.+-]+", "_", name) + ".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        self.keep(section, name, sha256(text.encode()))

    def keep_json(self, section: str, name: str, value: Any) -> None:
        """Record plain values as text."""
        self.keep_text(section, name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def run(self, *arguments: object) -> Ran:
        """One command in a process of its own, its words without the paths of this run."""
        done = subprocess.run(
            [sys.executable, "-m", "sweettok_cli", *map(str, arguments)],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=900,
        )
        return Ran(done.returncode, self.plain(done.stdout), self.plain(done.stderr))

    def environment(self) -> dict[str, str]:
        """One thread, no network, caches of its own, the same width of text everywhere."""
        cache = self.work / "cache"
        fixed = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
        fixed |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb", "PYTHONHASHSEED": "0"}
        fixed |= {"XDG_CACHE_HOME": str(cache), "HF_HOME": str(cache / "hf"), "TMPDIR": str(self.work)}
        fixed |= {"SWEETTOK_HOME": str(cache / "models"), "ACCELERATE_USE_CPU": "1"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SWEETTOK_")}
        return kept | fixed

    def plain(self, text: str) -> str:
        """Paths of this run replaced by what they stand for."""
        for path, name in ((self.work, "WORK"), (self.models, "MODELS"), (ROOT, "REPOSITORY")):
            text = text.replace(str(path), f"<{name}>")
        return text

    def model(self, name: str) -> str:
        """What ``--model`` is given."""
        return name if name == SHIPPED else str(self.models / name)


def model_names(models: Path) -> list[str]:
    """The models in the folder and the shipped one."""
    found = sorted(file.parent.name for file in models.glob("*/model.safetensors"))
    return [
        SHIPPED,
        *(name for name in found if (models / name / "config.json").is_file() and has_family(models / name)),
    ]


def has_family(folder: Path) -> bool:
    """Whether it is a model of this program, not a language model."""
    return "family" in json.loads((folder / "config.json").read_text(encoding="utf-8"))
