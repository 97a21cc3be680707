"""encode and roundtrip with a budget: of a model with levels, and of one without."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_models import save_sweettok

from sweettok_cli.tokens import read_meta, token_cost

Cli = Callable[..., Any]


def cost(path: Path) -> float:
    return token_cost(read_meta(path)).bits


def test_tokens_quality_and_the_fixed_layout(cli: Cli, model: Path, clip: Path) -> None:
    found = {}
    for name, options in {
        "usual": [],
        "few": ["--tokens", "640"],
        "many": ["--tokens", "5120"],
        "fixed": ["--fixed"],
        "poor": ["--quality", "14"],
        "good": ["--quality", "20"],
    }.items():
        out = clip.with_name(f"{name}.npz")
        ran = cli("encode", clip, "--model", model, *options, "-o", out, "--json")
        assert ran.code == 0, ran.err
        (told,) = json.loads(ran.out)["encoded"]
        assert told["tokens"] == token_cost(read_meta(out)).tokens
        found[name] = cost(out)
        ran = cli("decode", out, "--model", model, "-o", clip.with_name(f"{name}.mp4"))
        assert ran.code == 0, ran.err
    # Two clips of 128x64 pixels: an eighth of 256x256 each.
    assert read_meta(clip.with_name("fixed.npz")).version == 1
    usual = found["fixed"]
    assert found["few"] <= usual / 2 < found["usual"] <= usual < found["many"] <= 4 * usual
    assert found["poor"] < found["good"]
    assert "640 tokens" in cli("info", clip.with_name("few.npz")).out
    assert json.loads(cli("info", clip.with_name("good.npz"), "--json").out)["budget"] == "20 dB"


def test_what_was_made_with_another_budget_is_not_skipped(cli: Cli, model: Path, clip: Path) -> None:
    given = ["encode", clip, "--model", model]
    assert cli(*given, "--tokens", "640").code == 0
    ran = cli(*given, "--tokens", "640", "--skip-existing", "--json")
    assert ran.code == 0 and json.loads(ran.out)["skipped"]
    for other in (["--tokens", "900"], ["--tokens", "640.0001"], ["--quality", "20"], ["--fixed"], []):
        ran = cli(*given, *other, "--skip-existing")
        assert ran.code == 1 and "encoded with another budget: 640 tokens" in ran.err
    assert cli(*given, "--fixed", "--skip-existing", "--force").code == 0
    assert cli(*given, "--fixed", "--skip-existing").code == 0
    assert "encoded with another budget: the same tokens for every clip" in cli(*given, "--skip-existing").err


def test_what_is_in_the_fixed_layout_says_so(cli: Cli, model: Path, clip: Path) -> None:
    """Token files, packed ones too, and what a round trip prints."""
    for name, given, layout in (
        ("levels.npz", [], "levels"),
        ("fixed.npz", ["--fixed"], "fixed"),
        ("fixed.swt", ["--fixed"], "fixed"),
    ):
        assert cli("encode", clip, "--model", model, "-o", clip.with_name(name), *given).code == 0
        assert json.loads(cli("info", clip.with_name(name), "--json").out)["layout"] == layout
        said = re.search(r"^layout +fixed: every clip ", cli("info", clip.with_name(name)).out, re.MULTILINE)
        assert (said is not None) == (layout == "fixed")
    assert "; budget: fixed\n" in cli("roundtrip", clip, "--model", model, "--fixed").out


def test_words_of_tokens_with_levels_are_not_those_of_the_fixed_layout(
    cli: Cli, model: Path, clip: Path, tmp_path: Path
) -> None:
    """What is asked for is refused and not passed over; tokens in the fixed layout have it already."""
    shelf = tmp_path / "shelf"
    for label, given in (("a", []), ("b", ["--fixed"])):
        (shelf / label).mkdir(parents=True)
        assert cli("encode", clip, "--model", model, "-o", shelf / label / "clip.npz", *given).code == 0
    levels, fixed = (shelf / label / "clip.npz" for label in "ab")
    for files in ([levels], [fixed, levels], [shelf], [shelf, "--classes"]):
        ran = cli("words", *files, "--fixed", "--model", model)
        assert ran.code == 2 and f"{levels} holds tokens already, with levels of detail; leave" in ran.err
        assert cli("words", *files, "--model", model).code == 0
    for files in ([fixed], [fixed, clip]):
        ran = cli("words", *files, "--fixed", "--model", model)
        assert ran.code == 0 and "detail" not in ran.out, ran.err


def test_a_round_trip_keeps_to_its_budget(cli: Cli, model: Path, clip: Path) -> None:
    record = json.loads(cli("roundtrip", clip, "--model", model, "--tokens", "2560", "--json", "-q").out)
    fixed = json.loads(cli("roundtrip", clip, "--model", model, "--fixed", "--json", "-q", "--force").out)
    assert fixed["bits"] < record["bits"] <= 2 * fixed["bits"]


def test_a_budget_is_one_thing_and_of_a_model_with_levels(cli: Cli, model: Path, clip: Path) -> None:
    given = ["encode", clip, "--model", model]
    for wrong in (
        ["--tokens", "640", "--fixed"],
        ["--quality", "best"],
        ["--tokens", "0"],
        ["--quality", "-3"],
    ):
        ran = cli(*given, *wrong)
        assert ran.code == 2 and ("--tokens" in ran.err or "--quality" in ran.err)
    plain = clip.with_name("plain")
    save_sweettok(plain)
    for option in (["--tokens", "640"], ["--quality", "high"]):
        ran = cli("encode", clip, "--model", plain, *option)
        assert ran.code == 1 and f"leave out {option[0]}" in ran.err
        assert not clip.with_suffix(".npz").exists()
    assert cli("encode", clip, "--model", plain, "--fixed").code == 0


def test_packed_levels_come_back_bit_for_bit(cli: Cli, model: Path, clip: Path) -> None:
    plain, packed, again = (clip.with_name(name) for name in ("a.npz", "a.swt", "b.npz"))
    assert cli("encode", clip, "--model", model, "-o", plain).code == 0
    assert cli("encode", clip, "--model", model, "--compact", "-o", packed).code == 0
    assert cli("unpack", packed, "-o", again).code == 0
    assert again.read_bytes() == plain.read_bytes()
    assert packed.stat().st_size < plain.stat().st_size
    again.unlink()
    out = clip.with_name("out")
    ran = cli("decode", plain.parent, "--model", model, "-o", out, "--json")  # the plain one of the two
    assert ran.code == 0 and [path.name for path in out.iterdir()] == ["a.decoded.mp4"]
    decoded = []
    for source in (plain, packed):
        out = clip.with_name(f"{source.suffix[1:]}.npy")
        assert cli("decode", source, "--model", model, "-o", out).code == 0
        decoded.append(out.read_bytes())
    assert decoded[0] == decoded[1]


def test_levels_are_a_stage_of_training(cli: Cli) -> None:
    ran = cli("train", "--keys", "--stage", "4")
    assert ran.code == 0 and "prices" in ran.out and "levels" in ran.out
    assert cli("train", "--keys", "--stage", "5").code == 2
