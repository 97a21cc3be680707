"""The figures of README and card are those that the benchmarks wrote."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = (ROOT / "weights" / "sweettok-small" / "README.md").read_text(encoding="utf-8")


def result(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def table(below: str) -> list[list[str]]:
    """The cells of the README's first table after a heading line, without it and its rule."""
    lines = README.partition(below)[2].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_published_times_are_medians_and_best_runs() -> None:
    rows = table("| network | encode | published: median, best | times |")[1:]
    measured = result("families")["rows"]
    assert len(rows) == len(measured) == 4
    for cells, row in zip(rows, measured, strict=True):
        for half, at in (("encode", 1), ("decode", 4)):
            ours, published, times = cells[at : at + 3]
            assert float(ours) in (round(row[half], 1), round(row[half]))
            wanted = [row["published"][half], row["published"][f"best_{half}"]]
            ratios = [row[f"{half}_faster"], row[f"{half}_faster_than_best"]]
            if "run once" in cells[0]:
                assert wanted[0] == wanted[1]
                wanted, ratios = wanted[:1], ratios[:1]
            assert [float(each) for each in published.split(", ")] == wanted
            assert [float(each) for each in times.split(", ")] == [round(each, 1) for each in ratios]


def test_words_keep_of_their_meaning_what_was_measured() -> None:
    shipped = json.loads((ROOT / "weights" / "sweettok-small" / "config.json").read_text(encoding="utf-8"))
    rows = [row for row in result("language")["rows"] if row["weights_sha256"] == shipped["weights_sha256"]]
    assert [row["list"] for row in rows] == ["adjectives", "nouns", "adverbs", "verbs"]
    told = [f"{100 * row['kept']:.0f} %" for row in rows]
    assert f"(`benchmarks/language.py`) | {', '.join(told)} |" in README
    card = " ".join(CARD.split())
    assert all(f"{share} of the {row['list']}'" in card for share, row in zip(told, rows, strict=True))


def test_fidelity_is_that_of_one_run_beside_codecs() -> None:
    record = result("fidelity")
    summaries = [each["summary"] for each in record["contenders"]]
    names = [each["name"] for each in record["contenders"]]
    assert names == ["sweettok-small", "x264", "x265", "av1"]
    rows = {cells[0]: cells[1:] for cells in table("| at 0.05")}
    assert rows["PSNR, dB"] == [f"{each['psnr']['value']:.2f}" for each in summaries]
    assert rows["SSIM"] == [f"{each['ssim']['value']:.4f}" for each in summaries]
    low, high = (f(each["bits_per_pixel"]["value"] for each in summaries) for f in (min, max))
    assert f"| at {low:.4f} to {high:.4f} bits per pixel |" in README
    psnr, ssim = (summaries[0][name] for name in ("psnr", "ssim"))
    assert f"{psnr['value']:.2f} dB [{psnr['low']:.2f}, {psnr['high']:.2f}]" in README
    assert f"{ssim['value']:.4f} [{ssim['low']:.4f}, {ssim['high']:.4f}]" in README
    assert f"**{psnr['value']:.2f} dB** ({record['data']['frames']} frames" in CARD
    told = [f"{name} {each['psnr']['value']:.2f} dB" for name, each in zip(names, summaries, strict=True)]
    card = CARD.replace("\n", " ").replace("AV1", "av1")
    assert f"{told[1]}, {told[2]}, {told[3]}." in card


def test_what_variants_bring_is_what_was_measured() -> None:
    rows = result("ablations")["rows"]
    docs = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    lines = docs.partition("| variant | |")[2].split("\n\n")[0].splitlines()[2:]
    assert len(lines) == len(rows)
    for line, (name, row) in zip(lines, rows.items(), strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:3] == [f"`{name}`", row["question"], f"{row['psnr']['value']:.2f}"]
        gain = row["gain"]
        wanted = "" if gain is None else "{value:+.2f} [{low:+.2f}, {high:+.2f}]".format(**gain)
        assert cells[3] == wanted, name
        assert cells[5] == " ".join(f"{100 * share:.0f}" for share in row["kept"].values())
    told = README.partition("## What the choices bring")[2].partition("\n## ")[0]
    for name, figure in re.findall(r"\(`([\w.-]+)`, ([+-]\d\.\d\d) dB\)", told):
        assert figure == f"{rows[name]['gain']['value']:+.2f}", name
    assert told.count(" dB)") >= 8


def test_crops_and_ucf101_are_what_was_measured() -> None:
    shipped = json.loads((ROOT / "weights" / "sweettok-small" / "config.json").read_text(encoding="utf-8"))
    sha = shipped["weights_sha256"]
    row = next(row for row in result("crops")["rows"] if row["weights_sha256"] == sha)
    crops, pictures = (sum(row[kind].values()) / len(row[kind]) for kind in ("crops", "pictures"))
    assert f"(`benchmarks/crops.py`) | {crops:.2f}, {pictures:.2f} dB |" in README
    record = next(each for each in result("ucf101")["contenders"] if each["weights_sha256"] == sha)
    found = record["summary"]["psnr"]
    assert f"| {found['value']:.2f} dB [{found['low']:.2f}, {found['high']:.2f}] |" in README
    assert f"{found['value']:.2f} dB ({found['low']:.2f} to {found['high']:.2f})" in CARD


def test_packing_saves_what_was_measured() -> None:
    measured = result("packing")
    rows = table("| kbit | true bits")[1:]
    assert [cells[0] for cells in rows] == ["all clips", "still cameras"]
    for cells, name in zip(rows, ("all", "still"), strict=True):
        found = measured[name]
        bits = found["bits"], 8 * found["npz_bytes"], 8 * found["packed_bytes"]
        ratios = found["packed_ratio"], found["alone_ratio"]
        assert cells[1:] == [*(f"{each / 1000:.1f}" for each in bits), *(f"{each:.2f}" for each in ratios)]
    clips, still = measured["all"]["files"], measured["still"]["files"]
    assert f"on the {clips} clips of *Numbers* and on the {still} of them" in README
    spent = {key: round(value) for key, value in measured["ms_of_a_clip"].items()}
    assert (
        f"takes {spent['encode']} ms of one processor to encode, {spent['pack']} ms more to pack, "
        f"{spent['unpack']} ms to unpack"
    ) in README


def test_budgets_buy_what_was_measured() -> None:
    shipped = json.loads((ROOT / "weights" / "sweettok-small" / "config.json").read_text(encoding="utf-8"))
    measured = result("levels")["rows"]
    assert {row["weights_sha256"] for row in measured[2:]} == {shipped["weights_sha256"]}
    rows = table("| budget | tokens")[1:]
    assert len(rows) == len(measured)
    for cells, row in zip(rows, measured, strict=True):
        assert cells[-2:] == [f"{row['bits'] / 1000:.2f}", f"{row['psnr']:.2f}"]
        assert cells[0].startswith("image" if row["of"] == "pictures" else "clip")
        assert row["budget"].removesuffix(" tokens") in cells[0]


def test_recognition_is_what_was_measured() -> None:
    shipped = json.loads((ROOT / "weights" / "sweettok-small" / "config.json").read_text(encoding="utf-8"))
    records = result("recognition")
    assert {each["weights_sha256"] for each in records.values()} == {shipped["weights_sha256"]}
    docs = (ROOT / "docs" / "recognition.md").read_text(encoding="utf-8")
    lines = docs.partition("| data | shots |")[2].split("\n\n")[0].splitlines()[2:]
    wanted = []
    for name, record in records.items():
        for setting in record["settings"]:
            told = [f"{setting['queries']}, {setting['groups']}", f"{100 * setting['chance']:.1f} %"]
            for method in setting["methods"]:
                value, low, high = (100 * method["accuracy"][key] for key in ("value", "low", "high"))
                told.append(f"{value:.1f} % [{low:.1f}, {high:.1f}]")
            wanted.append([name, str(setting["shots"]), str(len(setting["labels"])), *told])
    assert [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] == wanted
    first = records["ucf101"]["settings"][0]
    tokens, _, pixels = (100 * each["accuracy"]["value"] for each in first["methods"])
    assert f"Of {first['queries']} real UCF-101 clips of {len(first['labels'])} classes" in README
    said = f"{tokens:.1f} % (chance {100 * first['chance']:.1f} %, by mean picture {pixels:.1f} %)"
    assert said in " ".join(README.split())


def test_words_find_and_tell_what_was_measured() -> None:
    shipped = json.loads((ROOT / "weights" / "sweettok-small" / "config.json").read_text(encoding="utf-8"))
    measured = result("search")
    assert measured["weights_sha256"] == shipped["weights_sha256"]
    docs = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in docs.splitlines()]
    rows = {cells[0]: cells[1:] for cells in lines if len(cells) == 7}
    kinds = measured["source"], measured["class"]
    for name in kinds[0]["rows"]:
        found = [each["rows"][name] for each in kinds]
        wanted = [
            [
                f"{row['recall@1']:.2f}",
                f"{row['recall@5']:.2f}",
                "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row["map"]),
            ]
            for row in found
        ]
        assert rows[name] == wanted[0] + wanted[1], name
    for name in ("pixels", "colours"):
        less = ["{value:.3f} [{low:.3f}, {high:.3f}]".format(**each["words_less"][name]) for each in kinds]
        assert rows[f"words less {name}"] == ["", "", less[0], "", "", less[1]]
    told = measured["class_words"]
    keys = ("right", "by_chance", "near_right", "near_wrong", "near_others")
    assert [str(told["words"]), *(f"{100 * told[key]:.0f} %" for key in keys)] in lines
    of = f"{measured['class']['clips']} clips of UCF-101 in\n{told['classes']} classes"
    assert f"{of} and {told['units']} groups" in docs
    # What the text says of them; where one of these fails, it is to be written anew.
    source, classes = (each["words_less"] for each in kinds)
    assert source["colours"]["high"] < 0 < source["pixels"]["low"]
    assert all(each["low"] < 0 < each["high"] for each in classes.values())
    assert abs(told["right"] - told["by_chance"]) < 0.05 and abs(told["near_right"] - 0.5) < 0.05


def test_generators_need_what_was_measured() -> None:
    docs = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
    found = result("generator")
    bits = found["bits_per_token"]
    rows = [line.split("|")[1:4] for line in docs.partition("| model | bits a token |")[2].splitlines()[2:7]]
    for (_, value, ratio), (name, measured) in zip(rows, bits.items(), strict=True):
        assert float(value) == round(measured, 2), name
        assert float(ratio) == round(bits["nominal"] / measured, 2), name
    assert min(bits, key=lambda name: bits[name]) == "generator"
    text = " ".join(README.split())
    assert (
        f"needs {bits['generator']:.1f} bits a token, where the bare codes take {bits['nominal']:.1f}, "
        f"unigrams {bits['unigram']:.1f}, bigrams {bits['bigram']:.1f}, and the same place in the clip "
        f"before {bits['last clip']:.1f}"
    ) in text
    assert f"the last quarter of a clip {found['tokens_per_second']['last_over_first']:.2f} times" in docs


def test_continuations_are_what_was_measured() -> None:
    docs = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
    found = result("continuation")
    parts = [found["psnr"], *found["by_motion"].values()]
    rows = [line.split("|")[2:6] for line in docs.partition("| | all | most motion |")[2].splitlines()[2:7]]
    names = ["repeated", "repeated, decoded", "generated", "drawn", "tokens"]
    for name, cells in zip(names, rows, strict=True):
        assert [float(cell) for cell in cells] == [round(part[name], 2) for part in parts], name


def test_ways_to_draw_indices_are_what_was_measured() -> None:
    docs = (ROOT / "docs" / "generation.md").read_text(encoding="utf-8")
    rows = [
        line.split("|")[1:4] for line in docs.partition("| | steps | bits a token |")[2].splitlines()[2:5]
    ]
    for (name, steps, bits), row in zip(rows, result("heads")["rows"], strict=True):
        assert row["name"] in name
        assert (int(steps), float(bits)) == (row["steps"], round(row["bits_per_token"], 2))


def test_data_sets_cost_what_was_measured() -> None:
    docs, found = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8"), result("data_set")
    rate = found["sources_per_second"]
    assert found["sources"] == 10_000 and f"{rate:.0f} a second: {1000 / rate:.1f} ms a file" in docs
    assert f"| {found['mib_after_a_tenth']}, {found['mib_at_the_end']} MiB |" in docs
    assert f"read in {found['read_seconds']:.1f} s, made a table in {found['table_seconds']:.1f} s" in docs
    assert f"{found['bytes_held_per_row']} bytes held a row" in docs
    found = result("short_clips")
    assert found["model"] == "sweettok-small" and found["threads"] == 2 and found["at_once"] == 4
    assert (
        f"{found['short_videos']} short videos" in docs
        and f"| {found['short_clips']} clips | seconds |" in docs
    )
    names = {
        "the model, frames in memory, one video after the other": "model",
        "likewise, batches of four filled": "model, batches filled",
        "a data set, one video after the other": "data set",
        "a data set, batches of four filled": "data set, batches filled",
    }
    for text, name in names.items():
        seconds, rate = found["seconds"][name], found["clips_per_second"][name]
        of_model = found["of_the_model"].get(name)
        assert (
            f"| {text} | {seconds:.1f} | {rate:.2f}{'' if of_model is None else f' ({of_model:.2f}'}" in docs
        )
    assert min(found["of_the_model"].values()) >= 0.9
    reading = 15e6 / found["clips_per_second"]["reading"] / 3600
    writing = 15e6 / found["clips_per_second"]["writing"] / 3600
    assert f"takes {reading:.0f} hours of one core and writing {writing:.0f}" in docs
    assert set(found["indices_that_differ"].values()) == {0}
