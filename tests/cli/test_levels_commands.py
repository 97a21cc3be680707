"""The commands with a model whose clips have as many tokens as they need."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

from sweettok_cli.tokens import read_tokens, token_cost
from sweettok_cli.video import write_image

Cli = Callable[..., Any]
MODEL = ("--model", "stairs")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals of evaluations lie here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_clip_goes_out_and_comes_back(cli: Cli, blocks: list[BlockTokenizer], clip: Path) -> None:
    ran = cli("encode", clip, *MODEL, "--json")
    assert ran.code == 0, ran.err
    meta = read_tokens(clip.with_suffix(".npz")).meta
    cost, (told,) = token_cost(meta), json.loads(ran.out)["encoded"]
    assert (told["tokens"], told["bits"]) == (cost.tokens, cost.bits) and meta.version == 2
    assert meta.rows["detail"][1] > 0
    assert cli("encode", clip, *MODEL, "--skip-existing").code == 0
    assert (
        f"{cost.tokens:,} tokens ({cost.tokens / 2:,.0f} a clip)"
        in cli("encode", clip, *MODEL, "--force").err
    )
    assert cli("decode", clip.with_suffix(".npz"), *MODEL, "-o", clip.with_name("a.npy")).code == 0
    expected = BlockTokenizer().decode(BlockTokenizer().encode(clip))
    assert np.array_equal(np.load(clip.with_name("a.npy")), expected)
    ran = cli("decode", clip.with_suffix(".npz"), "--model", "blocks", "-o", clip.with_name("b.npy"))
    assert ran.code == 1 and "is not laid out as blocks lays out its tokens" in ran.err


def test_packed_files_of_levels(cli: Cli, blocks: list[BlockTokenizer], clip: Path) -> None:
    """What is packed, by encode or after, is read by every command and unpacks to the same file."""
    plain, packed, folder = clip.with_suffix(".npz"), clip.with_suffix(".swt"), clip.parent / "store"
    assert cli("encode", clip, *MODEL).code == 0
    assert cli("models", "prior", plain, *MODEL).code == 0
    ran = cli("encode", clip, "--compact", *MODEL, "--json")
    (told,) = json.loads(ran.out)["encoded"]
    assert told["output"] == str(packed) and told["packed"]["coded_bits"] < told["bits"]
    assert told["packed"]["prior_sha256"]
    infos = [json.loads(cli("info", file, "--json").out) for file in (plain, packed)]
    for key in ("tokens", "bits", "levels"):
        assert infos[0][key] == infos[1][key]
    for name, spread in infos[1]["spread"].items():
        whole = infos[0]["spread"][name]
        assert spread == {**whole, "least": None, "most": None} and whole["least"] is not None
    text = cli("info", packed).out
    assert "coded bits" in text and "detail positions" in text
    for file in (plain, packed):
        assert cli("decode", file, *MODEL, "-o", file.with_name(f"{file.suffix}.npy")).code == 0
    assert np.array_equal(np.load(clip.with_name(".npz.npy")), np.load(clip.with_name(".swt.npy")))
    before = plain.read_bytes()
    assert cli("unpack", packed, "--force").code == 0 and plain.read_bytes() == before
    assert cli("pack", plain, "-o", clip.with_name("again.swt")).code == 0
    assert clip.with_name("again.swt").read_bytes() == packed.read_bytes()
    (folder / "stairs" / "prior.safetensors").unlink()
    assert "which no model that goes by name has" in cli("unpack", packed, "--force").err
    assert cli("pack", plain, "-o", clip.with_name("alone.swt")).code == 0
    assert cli("unpack", clip.with_name("alone.swt")).code == 0
    assert clip.with_name("alone.npz").read_bytes() == before


def test_packed_files_are_skipped_by_model_and_budget(
    cli: Cli, blocks: list[BlockTokenizer], clip: Path
) -> None:
    encode = ("encode", clip, "--compact", *MODEL, "--skip-existing")
    assert cli(*encode).code == 0
    assert "1 skipped" in cli(*encode).err
    ran = cli(*encode, "--tokens", "640")
    assert ran.code == 1 and "clip.swt was encoded with another budget: as many bits as usual" in ran.err
    assert not clip.with_suffix(".npz").exists()


def test_a_round_trip_costs_what_its_tokens_cost(cli: Cli, blocks: list[BlockTokenizer], clip: Path) -> None:
    record = json.loads(cli("roundtrip", clip, *MODEL, "--json", "--quiet").out)
    meta = read_tokens(Path(record["files"]["tokens"])).meta
    assert meta.version == 2
    assert (record["tokens"], record["bits"]) == (token_cost(meta).tokens, token_cost(meta).bits)


def test_an_evaluation_at_several_budgets_loads_a_model_once_and_names_each(
    cli: Cli, blocks: list[BlockTokenizer], clip: Path
) -> None:
    folder = clip.parent / "set"
    folder.mkdir()
    clip.rename(folder / "clip.mp4")
    given = ("eval", folder, "--compare", "stairs,blocks", "--metrics", "psnr,ssim", "--quiet")
    files = {kind: folder.parent / f"score.{kind}" for kind in ("csv", "md", "html")}
    options = ("--budgets", "640, 1280,fixed,high,34dB,640", "--baseline", "x264", "--gop", 17)
    outputs = ("--csv", files["csv"], "--markdown", files["md"], "--report", files["html"])
    ran = cli(*given, *options, *outputs, "--json")
    assert ran.code == 0, ran.err
    assert [tokenizer.spec.name for tokenizer in blocks] == ["stairs", "blocks"]
    methods = json.loads(ran.out)["contenders"]
    budgets = ["640 tokens", "1280 tokens", "fixed", "34 dB"]
    names = [*(f"stairs {budget}" for budget in budgets), "blocks", "x264 GOP 17"]
    assert [each["name"] for each in methods] == names
    assert [each.get("budget", "") for each in methods] == [*budgets, "", ""]
    assert methods[-1]["settings"]["options"]["g"] == "17"
    with files["csv"].open(newline="") as stream:
        rows = [(row["contender"], row["budget"]) for row in csv.DictReader(stream)]
    assert rows == [(each["name"], each.get("budget", "")) for each in methods]
    table = [line.split(" | ")[0] for line in files["md"].read_text().splitlines() if line.startswith("| ")]
    assert table[-6:] == [f"| {name}" for name in names]
    page = files["html"].read_text(encoding="utf-8")
    assert "<title>stairs (640 tokens, 1280 tokens, fixed, 34 dB), blocks on set</title>" in page
    plots = page.partition('id="rate"')[2].partition('id="summary"')[0]
    lines = re.findall(r'<polyline class="line (s\d)" points="([^"]*)"', plots)
    assert [(colour, len(points.split())) for colour, points in lines] == 2 * [("s0", 2), ("s2", 5)]
    text = cli(*given, *options).out
    assert "stairs (640 tokens, 1280 tokens, fixed, 34 dB), blocks, x264 GOP 17 on set" in text
    assert "stairs fixed: cost  256 + 1024 tokens (3840 indices" in text
    assert "stairs 640 tokens: words nouns" in text and "stairs fixed: words" not in text


def test_budgets_and_key_frames_are_of_what_has_them(
    cli: Cli, blocks: list[BlockTokenizer], clip: Path
) -> None:
    for options, code, words in (
        (("-m", "blocks", "--budgets", "640"), 1, "blocks give"),
        (("-m", "stairs", "--budgets", "640,best"), 2, "'best'"),
        (("-m", "stairs", "--budgets", "5dB"), 2, "10 to 60 dB"),
        (("-m", "stairs", "--gop", "17"), 2, "name some with --baseline"),
        (("-m", "stairs", "--gop", "0", "--baseline", "x264"), 2, "--gop"),
    ):
        ran = cli("eval", clip, *options)
        assert ran.code == code and words in " ".join(ran.err.split()), (options, ran.err)


def test_an_evaluation_states_the_mean_of_what_clips_cost(
    cli: Cli, blocks: list[BlockTokenizer], clip: Path
) -> None:
    folder = clip.parent / "set"
    folder.mkdir()
    clip = clip.rename(folder / "clip.mp4")
    write_image(folder / "b.png", np.random.default_rng(0).integers(0, 256, (40, 70, 3), dtype=np.uint8))
    report = folder.parent / "report.html"
    both = ("--compare", "stairs,blocks")
    ran = cli("eval", folder, *both, "--report", report, "--metrics", "psnr", "--json", "--quiet")
    assert ran.code == 0, ran.err
    stairs, fixed = json.loads(ran.out)["contenders"]
    costs = [
        token_cost(tokenizer.encode(path).meta)
        for path in (clip, folder / "b.png")
        for tokenizer in blocks[:1]
    ]
    assert stairs["cost"]["tokens"] == sum(cost.tokens for cost in costs)
    assert stairs["cost"]["bits"] == pytest.approx(sum(cost.bits for cost in costs))
    assert stairs["cost"]["clips"] == 3 and "clip_256" not in stairs["cost"]
    assert stairs["summary"]["psnr"]["value"] == pytest.approx(fixed["summary"]["psnr"]["value"])
    nouns = stairs["codebooks"]["nouns"]
    assert nouns["size"] == 512 and nouns["occurrences"] < stairs["cost"]["tokens"]
    mean, indices = stairs["cost"]["tokens"] / 3, sum(cost.indices for cost in costs) / 3
    assert mean < indices < 3 * mean
    table = cli("eval", folder, *MODEL, "--metrics", "psnr").out
    assert (
        f"cost  {mean:,.0f} tokens ({indices:,.0f} indices, " in table
        and "kbit) a clip on average; " in table
    )
    page = re.sub(r"<[^>]*>|\s+", " ", report.read_text())
    assert f"{mean:,.0f} {indices:,.0f} indices" in " ".join(page.split())
    assert "what one of the clips that were measured costs on average" in page
