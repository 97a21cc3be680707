"""What encode and roundtrip say of a number of tokens that a video cannot be given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import save_sweettok
from small_run import write_clip

from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.pipeline.missed import bits_allowed, missed_budget, missed_quality
from sweettok_cli.tokens import read_meta, token_cost
from sweettok_cli.video import write_image

Cli = Callable[..., Any]


def test_what_is_asked_for_is_measured_by_the_fixed_layout(cli: Cli, model: Path, clip: Path) -> None:
    ran = cli("encode", clip, "--model", model, "--fixed")
    assert ran.code == 0 and "warning" not in ran.err, ran.err
    fixed = token_cost(read_meta(clip.with_suffix(".npz"))).bits
    assert cli("encode", clip, "--model", model, "--force").code == 0
    assert bits_allowed(read_meta(clip.with_suffix(".npz")), 1280) == pytest.approx(fixed)


def test_a_number_that_cannot_be_reached_is_said(cli: Cli, model: Path, clip: Path) -> None:
    """Once, also when quiet; and nothing is said of one that can."""
    out = clip.with_suffix(".npz")
    for tokens, word in (("1", "more"), ("640", None), ("1000000", "less")):
        ran = cli("encode", clip, "--model", model, "--tokens", tokens, "--force", "--quiet")
        assert (ran.code, ran.out) == (0, f"{out}\n"), ran.err
        meta = read_meta(out)
        if word is None:
            assert ran.err == ""
            continue
        spent, allowed = token_cost(meta).bits, bits_allowed(meta, float(tokens))
        assert (spent > allowed) == (word == "more")
        assert ran.err.startswith(
            f"warning: {clip} takes {spent:,.0f} bits, {word} than the {allowed:,.0f} that --tokens "
        )
        assert ran.err.count("\n") == 1 and ran.err.endswith(".\n")
        if word == "more":
            assert meta.rows["temporal"] == (0,) and not any(meta.rows["detail"])
    ran = cli("roundtrip", clip, "--model", model, "--tokens", "1", "--quiet", "-o", clip.parent / "there")
    assert ran.code == 0 and re.search(rf"warning: {clip} takes [\d,]+ bits, more than the ", ran.err)


def test_encoding_says_that_a_quality_is_missed_as_a_round_trip_would(
    cli: Cli, model: Path, clip: Path
) -> None:
    """Over the source's own pixels, as bytes show them; whether frames are a whole number of tiles or not."""
    odd = clip.with_name("odd.mp4")
    write_clip(odd, 3, frames=15, width=70, height=54)
    _say_alike(cli, model, odd, 0.11)
    _say_alike(cli, model, clip, 0.3)  # seams between clips are evened out afterwards


def _say_alike(cli: Cli, model: Path, clip: Path, nearly: float) -> None:
    out = clip.with_suffix(".npz")
    for quality, word in (("60", "less"), ("10", "more")):
        given = (clip, "--model", model, "--quality", quality, "--force", "--quiet")
        ran = cli("encode", *given)
        assert (ran.code, ran.out) == (0, f"{out}\n"), ran.err
        found = re.match(
            rf"warning: {clip} comes back at ([\d.]+) dB(?: in its worst clip)?, {word} than", ran.err
        )
        again = cli("roundtrip", *given, "-o", clip.parent / "there").err
        measured = re.match(r"warning: \S+ comes back at ([\d.]+) dB", again)
        assert found and measured and ran.err.count("\n") == 1
        assert float(found[1]) == pytest.approx(float(measured[1]), abs=nearly)


def test_json_tells_what_was_asked_and_what_became_of_it(cli: Cli, model: Path, clip: Path) -> None:
    """Of encode and roundtrip; what is written is what is said on stderr."""
    for given, budget, kept in (
        (("--quality", "60"), "60 dB", False),
        (("--tokens", "1"), "1 tokens", False),
        (("--tokens", "640"), "640 tokens", True),
        (("--fixed",), "fixed", True),
        ((), None, True),
    ):
        ran = cli("encode", clip, "--model", model, *given, "--force", "--quiet", "--json")
        (record,) = json.loads(ran.out)["encoded"]
        there = ("--force", "--quiet", "--json", "-o", clip.parent / "there")
        again = cli("roundtrip", clip, "--model", model, *given, *there)
        back = json.loads(again.out)
        assert record["budget"] == back["budget"] == budget
        for told, err in ((record, ran.err), (back, again.err)):
            assert err == "".join(f"warning: {each}\n" for each in told["warnings"])
            assert (told["warnings"] == []) == kept
        if "--quality" in given:
            assert record["worst_psnr"] == pytest.approx(back["worst_psnr"], abs=0.3)
        else:
            assert record["worst_psnr"] is None and back["worst_psnr"] <= back["psnr"] + 0.01


def test_a_round_trip_says_that_a_quality_is_missed(cli: Cli, model: Path, clip: Path) -> None:
    """It has measured it: by the clip with most error, once, and not where it is come near."""
    given = ("roundtrip", clip, "--model", model, "--quiet", "--json", "--force", "--quality")
    best = json.loads((ran := cli(*given, "60")).out)["psnr"]
    said = rf"warning: {clip} comes back at ([\d.]+) dB in its worst clip, less than the --quality 60 "
    found = re.match(said, ran.err)
    assert ran.code == 0 and found and float(found[1]) < best + 0.05 and ran.err.count("\n") == 1
    assert ran.err.endswith("that was asked for: levels of detail end there.\n")
    ran = cli(*given, "10")
    assert ran.code == 0 and "more than the --quality 10 that was asked for: every spatial" in ran.err
    least = json.loads(ran.out)["psnr"]
    ran = cli(*given, str(round((least + best) / 2, 1)))
    assert (ran.code, ran.err) == (0, "")


def test_pictures_have_their_share(cli: Cli, model: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8))
    assert "more than the" in cli("encode", photo, "--model", model, "--tokens", "100").err
    ran = cli("encode", photo, "--model", model, "--tokens", "400", "--force")
    assert ran.code == 0 and "warning" not in ran.err, ran.err


def test_only_a_number_of_models_with_levels_is_missed(cli: Cli, model: Path, clip: Path) -> None:
    assert cli("encode", clip, "--model", model, "--quiet").code == 0
    meta = read_meta(clip.with_suffix(".npz"))
    assert missed_budget("clip", meta, USUAL) is missed_budget("clip", meta, Budget(psnr=60)) is None
    assert missed_quality("clip", meta, 20.0, USUAL) is missed_quality("clip", meta, 20.0, Budget(1)) is None
    save_sweettok(clip.parent / "plain")
    assert cli("encode", clip, "--model", clip.parent / "plain", "--force").code == 0
    assert missed_budget("clip", read_meta(clip.with_suffix(".npz")), Budget(tokens=1)) is None


def test_a_number_that_is_none_names_its_own_option(cli: Cli, model: Path, clip: Path) -> None:
    for given, option in ((("--tokens", "inf"), "--tokens"), (("--quality", "inf"), "--quality")):
        ran = cli("encode", clip, "--model", model, *given)
        assert ran.code == 2 and f"Invalid value for {option}" in ran.err, ran.err
    assert not clip.with_suffix(".npz").exists()
