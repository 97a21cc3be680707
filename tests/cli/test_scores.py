"""What eval shows of a record, on terminals of several widths."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len
from small_record import record_of

from sweettok_cli.cli import output, scores
from sweettok_cli.cli.scores import scores_text
from sweettok_cli.evaluation.record import Record


@pytest.fixture
def lines_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    def lines(record: Record, width: int) -> list[str]:
        for module in (output, scores):
            monkeypatch.setattr(module, "text_width", lambda: width)
        made = scores_text(record).splitlines()
        assert max(map(cell_len, made)) <= width
        return made

    return lines


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
@pytest.mark.parametrize(
    "models", [("m",), ("one", "two"), ("one", "runs/a/rather/long/path/to/a/model", "x")]
)
def test_names_of_files_and_models_are_whole_at_any_width(lines_of: Any, width: int, models: Any) -> None:
    text = "".join("".join(line.split()) for line in lines_of(record_of(*models), width))
    for name in ("short.mp4", "PSNRdB"):
        assert name in text
    if width >= 80:
        lines = lines_of(record_of(*models), width)
        assert "1920x1080" in text
        room = max(len(line.split("  ")[0]) for line in lines if "1920x1080" in line)
        assert room >= 26  # and not one letter a line
    assert "\u2026" not in text


def test_what_is_left_out_is_said(lines_of: Any) -> None:
    assert "not shown for want of width: MS-SSIM, seams, seconds; --csv has all" in lines_of(
        record_of("m"), 80
    )
    assert not any("not shown" in line for line in lines_of(record_of("m"), 160))


def test_every_table_names_each_model(lines_of: Any) -> None:
    text = "\n".join(lines_of(record_of("one", "two", "three"), 100))
    tables = [part for part in text.split("\n\n") if "\u2500" in part]
    assert len(tables) == 3
    assert all(name in table for table in tables for name in ("one", "two", "three"))
    assert "one: cost  7 tokens" in text and "two: cost  7 tokens" in text
    assert "rFVD (TorchScript I3D) of one was not measured: no weights." in text


def test_differences_are_one_row_each(lines_of: Any) -> None:
    lines = lines_of(record_of("one", "two"), 80)
    rows = [line.split() for line in lines if line.split()[1:3] == ["(dB)", "one"] or "SSIM  " in line[:6]]
    assert ["PSNR", "(dB)", "one", "two", "-0.50", "[-0.75,", "-0.25]"] in rows
    assert ["SSIM", "one", "two", "-0.5000", "[-0.7500,", "-0.2500]"] in [line.split() for line in lines]


def test_names_move_no_cursor_and_forge_no_row(lines_of: Any) -> None:
    record = record_of("one", "t\x1b[2Jwo\nthree")
    text = "\n".join(lines_of(record, 160))
    assert "\x1b" not in text and "t\\x1b[2Jwo\\nthree" in text.replace("\n", "")
