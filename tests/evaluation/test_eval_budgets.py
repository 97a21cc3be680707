"""A model with levels, measured at several budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measuring import film, make_plan, measure
from ragged_tokenizer import RaggedTokenizer
from small_levels import levelled
from small_models import save_sweettok
from small_network import word_prior

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation import plan as whole
from sweettok_cli.evaluation.journal import run_key
from sweettok_cli.evaluation.record import Record
from sweettok_cli.evaluation.report.charts import Line, rate_plots
from sweettok_cli.evaluation.report.findings import Findings
from sweettok_cli.evaluation.run import Measured, Media
from sweettok_cli.models.common.budget import USUAL, Budget, read_budget
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import token_cost
from sweettok_cli.zoo.load import load

BUDGETS = [Budget(2560), Budget(640), Budget(psnr=20.0), Budget(fixed=True)]
NAMES = ["levelled 2560 tokens", "levelled 640 tokens", "levelled 20 dB", "levelled fixed"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models: one with levels, one without."""
    folder = tmp_path_factory.mktemp("models")
    save_model_folder(folder / "levelled", levelled(), word_prior())
    save_sweettok(folder / "plain")
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clips") / "a.mp4", 18, 96, 64)


@pytest.fixture(scope="module")
def measured(
    models: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[whole.Plan, dict[str, Any], Measured]:
    """Of the four budgets, of the plain model and of a codec."""
    plan = whole.make_plan(
        str(clip),
        [str(models / "levelled"), str(models / "plain")],
        metrics=["psnr"],
        budgets=BUDGETS,
        codecs=["x264"],
        gop=17,
    )
    record, found = measure(plan, tmp_path_factory.mktemp("journal"))
    return plan, record, found


def test_every_budget_is_a_method_of_one_loaded_model(
    measured: tuple[whole.Plan, dict[str, Any], Measured], models: Path, clip: Path
) -> None:
    plan, record, _ = measured
    assert [method.name for method in plan.methods] == [*NAMES, "plain", "x264 GOP 17"]
    assert len({id(model.tokenizer) for model in plan.models}) == 2
    tokenizer = load(models / "levelled", "cpu")
    scores = record["clips"][0]["scores"]
    for name, budget in zip(NAMES, BUDGETS, strict=True):
        cost = token_cost(encode_video(clip, tokenizer, budget=budget).meta)
        assert (scores[name]["tokens"], scores[name]["bits"]) == (cost.tokens, pytest.approx(cost.bits))
    many, few, good, fixed = (scores[name] for name in NAMES)
    assert few["bits"] < fixed["bits"] < many["bits"]
    assert scores["plain"]["bits"] == fixed["bits"] and good["bits"] not in (few["bits"], many["bits"])
    # Codecs have what the first method spends.
    assert 0.5 < scores["x264 GOP 17"]["bits"] / many["bits"] <= 1.01


def test_budgets_that_are_missed_are_said_of_each(
    measured: tuple[whole.Plan, dict[str, Any], Measured], models: Path, clip: Path, tmp_path: Path
) -> None:
    """With the direction; and nothing is said of those that are kept."""
    record = Record.from_json(measured[1])
    said = {each.name: each.warnings for each in record.methods if each.kind == "model"}
    assert not any(said[name] for name in ("levelled 640 tokens", "levelled fixed", "plain"))
    budgets = [Budget(1), Budget(10**6), Budget(psnr=10), Budget(psnr=60)]
    plan = whole.make_plan(str(clip), [str(models / "levelled")], metrics=["ssim"], budgets=budgets)
    missed = Record.from_json(measure(plan, tmp_path / "journal")[0])
    words = ["more", "less", "more", "less"]
    for method, word in zip(missed.methods, words, strict=True):
        (warning,) = method.warnings
        assert warning.startswith(f"{method.name} has {word} than its budget asks for, as ")
        assert warning.endswith(", on 1 of 1 clips.")


def test_the_record_states_the_budget_of_each(
    measured: tuple[whole.Plan, dict[str, Any], Measured],
) -> None:
    record = Record.from_json(measured[1])
    stated = ["2560 tokens", "640 tokens", "20 dB", "fixed", None, None]
    assert [each.budget for each in record.methods] == stated
    assert [each.series for each in record.methods] == [*["levelled"] * 4, "plain", "x264 GOP 17"]
    assert record.methods[-1].settings["gop"] == 17
    # Clips of the fixed layout all cost the same, and its words are counted, too.
    known = [each.cost.clip_256 is not None for each in record.methods]
    assert known == [False, False, False, True, True, False]
    assert all(each.codebooks["nouns"].used for each in record.methods[:5])
    # Neither one model with itself, nor a codec with what has other bits.
    assert {(each.a, each.b) for each in record.comparisons} == {
        *((name, "plain") for name in NAMES),
        (NAMES[0], "x264 GOP 17"),
        ("plain", "x264 GOP 17"),
    }


def test_frames_are_shown_as_each_budget_gives_them_back(
    measured: tuple[whole.Plan, dict[str, Any], Measured],
) -> None:
    plan, _, found = measured
    many, few, _, fixed = (Media(plan, found).show("a.mp4", name) for name in NAMES)
    assert few.tokens is not None and many.tokens is not None and fixed.tokens is None
    assert few.tokens.tokens.sum() < many.tokens.tokens.sum()
    assert not np.array_equal(few.decoded, many.decoded)


def test_budgets_of_a_model_are_one_line_and_the_fixed_layout_is_not_on_it(
    measured: tuple[whole.Plan, dict[str, Any], Measured],
) -> None:
    findings = Findings(Record.from_json(measured[1]))
    (plot,) = rate_plots(findings)
    summaries = {each.name: each.summary for each in findings.methods}
    points = {n: (s["bits_per_pixel"].value, s["psnr"].value) for n, s in summaries.items()}
    ours, codec = plot.lines
    assert ours == Line("levelled", [points[NAMES[1]], points[NAMES[0]]])
    assert (codec.name, len(codec.points), codec.settings) == ("x264 GOP 17", 5, True)
    assert {label.text for label in plot.labels} == {"levelled", "plain", "x264 GOP 17"}
    assert [label.text for label in plot.budgets] == ["2560", "640", "20 dB", "fixed"]
    assert len({(label.x, label.y) for label in plot.budgets}) == 4
    assert {findings.colour(name) for name in (*NAMES, "levelled")} == {"s0"}
    assert (findings.colour("plain"), findings.colour("x264 GOP 17")) == ("s1", "s2")
    assert findings.moving == [NAMES[0], NAMES[1], "plain", "x264 GOP 17"]


def test_a_journal_is_of_its_budgets_and_key_frames(clip: Path) -> None:
    plans = [
        make_plan(clip, RaggedTokenizer(), budgets=[budget], codecs=["x264"], gop=gop)
        for budget in (USUAL, *BUDGETS, Budget(641), Budget(psnr=21))
        for gop in (None, 17, 250)
    ]
    assert len({run_key(plan) for plan in plans}) == len(plans)
    again = make_plan(clip, RaggedTokenizer(), codecs=["x264"])
    assert run_key(again) == run_key(plans[0])


def test_budgets_need_a_model_with_levels(models: Path, clip: Path) -> None:
    with pytest.raises(SweettokError, match=r"plain give.* the same number of tokens; leave out --budgets"):
        whole.make_plan(str(clip), [str(models / "plain")], budgets=BUDGETS)


def test_budgets_in_a_word() -> None:
    read = [read_budget(word) for word in ("640", "1e3", "fixed", "high", "31dB", "31.5DB")]
    expected = [Budget(640), Budget(1000), Budget(fixed=True), *(Budget(psnr=p) for p in (34, 31, 31.5))]
    assert read == expected
    for number, spelt in ((640, "640"), (1234567.5, "1234567.5"), (31.123456, "31.123456"), (1e6, "1000000")):
        assert str(Budget(number)) == f"{spelt} tokens" and read_budget(f"{spelt} tokens") == Budget(number)
    exact = Budget(psnr=31.1234567)
    assert str(exact) == "31.1234567 dB" and read_budget(str(exact)) == exact != Budget(psnr=31.1234568)
    for wrong in ("", "0.5", "nan", "inf", "-3", "best", "dB", "31 d", "5dB", "usual"):
        with pytest.raises(ValueError, match=r"is a number of tokens|is low, medium, high"):
            read_budget(wrong)
