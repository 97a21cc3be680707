"""Figures, tables and pages of ``eval``, figures and files of ``roundtrip``."""

from __future__ import annotations

import csv
import html
import json
import re
from typing import Any

import numpy as np
from bench import SHIPPED, Bench
from digests import array_facts, file_digest, sha256, video_facts
from inputs import VIDEO
from output import keep_command_json, untimed, without


def evaluations(bench: Bench) -> list[tuple[str, list[object]]]:
    """Names and arguments of the runs over the two clips."""
    anchored, omni, kl = (bench.model(name) for name in ("sweettok", "omnitokenizer", "vidtok-kl-causal"))
    stream = bench.model("vidtok-fsq-causal-v1.1")
    quick = ["--metrics", "psnr,ssim"]
    return [
        ("shipped x264", ["-m", SHIPPED, "--baseline", "x264"]),
        ("compare", ["--compare", f"{anchored},{omni}", "--baseline", "x264", "--no-curves"]),
        ("sweettok", ["-m", anchored]),
        ("picture", ["-m", omni]),
        ("vidtok-kl x264", ["-m", kl, "--baseline", "x264", "--no-curves", "--sample", 3]),
        ("vidtok-kl overlap", ["-m", kl, *quick, "--overlap", 2]),
        ("vidtok stream", ["-m", stream, *quick]),
        ("protocol sweettok", ["-m", anchored, "--protocol", "sweettok", *quick]),
        ("protocol vidtok", ["-m", kl, "--protocol", "vidtok", *quick, "--limit", 1]),
    ]


def evaluate(bench: Bench, number: int, name: str, options: list[object]) -> None:
    """One run with all that it can write; the first two also as text for people, from the same journal."""
    out = bench.work / f"eval{number}"
    out.mkdir()
    table, paper, page = out / "table.csv", out / "table.md", out / "page.html"
    files = ["--csv", table, "--markdown", paper, "--report", page, "--journal", out / "journal"]
    clips = bench.work / "in" / ("large.png" if name == "picture" else "eval")
    ran = bench.run("eval", clips, *options, "--json", *files)
    if ran.code:
        bench.keep_json("eval", name, {"code": ran.code, "error": ran.err})
        return
    record = json.loads(ran.out)
    dropped = {"date", "machine", "command", "seconds", "sweettok"}
    bench.keep_json("eval", f"{name} json", without(record, dropped))
    bench.keep_text("eval", f"{name} stderr", untimed(ran.err))
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [{key: row[key] for key in row if key != "seconds"} for row in csv.DictReader(stream)]
    bench.keep_json("eval", f"{name} csv", rows)
    text = re.sub(r"Measured with sweettok .*", "", bench.plain(paper.read_text(encoding="utf-8")))
    bench.keep_text("eval", f"{name} markdown", text)
    bench.keep_text("report", name, bench.plain(timeless_page(page.read_text(encoding="utf-8"), record)))
    if number < 2:
        ran = bench.run("eval", clips, *options, "--journal", out / "journal")
        # The last column is seconds, and its width moves the others.
        plain = re.sub(r", \d+ s in the model", "", ran.out)
        lines = [re.sub(r"\s+(\d+\.\d|seconds)?\s*$", "", line) for line in plain.splitlines()]
        lines = [re.sub(r"[ ─╶╴]{2,}", "  ", line) for line in lines]
        bench.keep_text("eval", f"{name} text", "\n".join(lines) + "\n")


def timeless_page(page: str, record: dict[str, Any]) -> str:
    """The report without dates, machine, command and seconds; pictures only by their digest."""
    record_text = json.loads(json.dumps(record))
    unwanted = [record_text["date"], record_text["command"], *record_text["machine"].values()]
    for value in sorted(unwanted, key=len, reverse=True):
        page = page.replace(html.escape(value), "...").replace(value, "...")
    page = re.sub(
        r'(<tr><th scope="row">(?:(?!</tr>).)*seconds to (?:(?!</tr>).)*?</th>).*?</tr>',
        r"\1...</tr>",
        page,
        flags=re.S,
    )
    page = re.sub(r"[A-Za-z0-9+/]{400,}={0,2}", lambda found: sha256(found[0].encode()), page)
    return page.replace(record_text["sweettok"], "...")


def roundtrip(bench: Bench, name: str) -> None:
    """Figures, and the files that are left."""
    out = bench.work / f"roundtrip-{name}"
    ran = bench.run(
        "roundtrip", bench.work / "in" / VIDEO, "-o", out, "-m", bench.model(name), "--json", "--quiet"
    )
    keep_command_json(bench, "roundtrip", f"{name} json", ran, {"seconds"})
    for file in sorted(out.glob("*")):
        if file.suffix == ".mp4":
            bench.keep("roundtrip", f"{name} {file.name}", video_facts(file))
        elif file.suffix == ".csv":
            bench.keep_text("roundtrip", f"{name} {file.name}", file.read_text(encoding="utf-8"))
        elif file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                kept = {key: array_facts(archive[key]) for key in archive.files if key != "meta"}
            bench.keep("roundtrip", f"{name} {file.name}", kept)
        else:
            bench.keep("roundtrip", f"{name} {file.name}", file_digest(file))
