"""Runs of several processes: started as a user starts them, by ``accelerate launch``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Trains one run after the other in the same processes, which take longer to start than small runs take.
_IN_A_ROW = """
import json, sys
from pathlib import Path

from accelerate.state import AcceleratorState
from torch import nn

from sweettok_cli.cli.app import main
from sweettok_cli.models.common import grid_task
from sweettok_cli.models.sweettok import task

# Published networks of features are not at hand: the frames themselves are compared.
task.perceptual_distance = grid_task.perceptual_distance = lambda *_: nn.L1Loss()
for arguments in json.loads(Path(sys.argv[1]).read_text()):
    sys.argv = ["sweettok", "train", "--quiet", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (end.code, arguments)
    AcceleratorState._reset_state(reset_partial_state=True)
"""


def launch(flags: list[str], *program: str, folder: Path) -> str:
    """``accelerate launch`` two processes without an accelerator, in ``folder``; returns their stderr."""
    numbers = ["--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    plain = ["--mixed_precision", "no", "--dynamo_backend", "no"]
    command = [sys.executable, "-m", "accelerate.commands.launch", *numbers, *plain, *flags]
    done = subprocess.run(
        [*command, *program], cwd=folder, capture_output=True, text=True, timeout=900,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-5000:]
    return done.stderr


def train_in_a_row(runs: list[list[str]], folder: Path, flags: list[str] | None) -> None:
    """Train ``runs``, arguments of ``sweettok train`` each: by two launched processes, or by one alone."""
    script, given = folder / "in_a_row.py", folder / "runs.json"
    script.write_text(_IN_A_ROW)
    given.write_text(json.dumps(runs))
    if flags is not None:
        launch(flags, str(script), str(given), folder=folder)
        return
    done = subprocess.run(
        [sys.executable, str(script), str(given)], cwd=folder, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-5000:]


def lines(out: Path) -> list[dict[str, Any]]:
    """What the log of a run says of its steps."""
    found = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [line for line in found if line["kind"] == "train"]
