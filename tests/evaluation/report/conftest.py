"""A run over files whose names are hard on a page."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import pytest
from measuring import film, make_plan, measure
from numbered import FRAMES, Numbered

from sweettok_cli.evaluation.record import Record

BAD_BYTE = os.fsdecode(b"caf\xe9.mp4")
TAGS = "<script>alert('x')&\".mp4"


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Record, Any]:
    """Plan, record and rows of a run over four clips with a codec."""
    folder = tmp_path_factory.mktemp("clips")
    for seed, name in enumerate((TAGS, BAD_BYTE, "plain one.mp4", "x" * 90 + ".mp4")):
        film(folder / f"{seed}.mp4", FRAMES, 70, 50, seed).replace(folder / name)
    plan = make_plan(folder, codecs=["x264"])
    record, found = measure(plan, tmp_path_factory.mktemp("journal"))
    return plan, Record.from_json(record), found


@pytest.fixture
def record(measured: tuple[Any, Record, Any]) -> dict[str, Any]:
    """The record as JSON, for a test to change as it likes."""
    return copy.deepcopy(measured[1].to_json())


@pytest.fixture(scope="session")
def page(measured: tuple[Any, Record, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the run."""
    from sweettok_cli.evaluation.report.page import write_report

    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(measured[1], Numbered(), path)
    return path
