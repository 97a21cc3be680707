"""Tables for other programs and for papers, and whether they say what the record says."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path

from small_record import record_of

from sweettok_cli.evaluation.tables import write_csv, write_markdown

HARD = ("=cmd|' /C calc'!A0", "+1", "-2", "@x", "a|b`c<i>*[l](u)", "two\nlines\x1b[2J", "\u202eback", "\ta")
BAD_BYTE = os.fsdecode(b"caf\xe9.mp4")


def test_names_that_are_no_text_or_a_formula_forge_nothing(tmp_path: Path) -> None:
    names = (*HARD, BAD_BYTE)
    record = record_of("m|o\nd", clips=names)
    record = dataclasses.replace(record, command="sweettok eval 'a`b\nc'")
    record = dataclasses.replace(record, data=dataclasses.replace(record.data, name="| d\n# e |"))
    write_csv(tmp_path / "t.csv", record)
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")  # bytes that are no text would end other programs
    rows = list(csv.DictReader(text.splitlines()))
    assert len(text.splitlines()) == len(rows) + 1 == len(names) + 1
    assert [row["name"] for row in rows] == [
        "'=cmd|' /C calc'!A0", "'+1", "'-2", "'@x", "a|b`c<i>*[l](u)", "two\\x0alines\\x1b[2J", "\\u202eback",
        "\\x09a", "caf\\xe9.mp4",
    ]  # fmt: skip
    assert {row["contender"] for row in rows} == {"m|o\\x0ad"}
    write_markdown(tmp_path / "t.md", record)
    lines = (tmp_path / "t.md").read_text(encoding="utf-8").splitlines()
    assert [line.count("|") - line.count("\\|") for line in lines[:3]] == [6, 6, 6]  # five cells
    assert lines[2].startswith("| m\\|o\\\\x0ad | 28.00 [27.99, 28.01] |")
    assert (
        lines[4].startswith("\\| d\\\\x0a# e \\|: 3 clips") and "`` sweettok eval 'a`b\\x0ac' ``" in lines[4]
    )
    assert all(line.startswith(("|", "- ", "\\|")) for line in filter(None, lines))


def test_tables_and_json_agree(tmp_path: Path) -> None:
    record = record_of("one", "two")
    plain = record.to_json()
    write_csv(tmp_path / "t.csv", record)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = [(clip, name) for clip in plain["clips"] for name in clip["scores"]]
    for row, (clip, method) in zip(rows, wanted, strict=True):
        assert (row["name"], row["contender"]) == (clip["name"], method)
        known = {key: value for key, value in clip["scores"][method].items() if key != "settings"}
        assert {key: json.loads(row[key]) for key in known} == known
    write_markdown(tmp_path / "t.md", record)
    text = (tmp_path / "t.md").read_text(encoding="utf-8")
    heads = [cell.strip(" \u2191\u2193") for cell in text.splitlines()[0].split("|")[2:-1]]
    assert heads == ["PSNR (dB)", "SSIM", "MS-SSIM", "bits per pixel"]
    for line, method in zip(text.splitlines()[2:4], plain["contenders"], strict=True):
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        assert cells[0] == method["name"]
        for cell, entry in zip(cells[1:], method["summary"].values(), strict=True):
            assert [float(part.strip("[],")) for part in cell.split()] == [
                round(entry[key], 4) for key in ("value", "low", "high")
            ]
        assert f"- rFVD (TorchScript I3D) of {method['name']}: not measured: no weights." in text
