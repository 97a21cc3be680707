"""The table of named models: complete, consistent, and forgiving to misspelt names."""

from __future__ import annotations

import re

import pytest

from sweettok_cli.models.registry import FAMILIES
from sweettok_cli.zoo import local
from sweettok_cli.zoo.catalogue import CATALOGUE, DEFAULT_MODEL, name_of, named_model, suggestions
from sweettok_cli.zoo.local import find_model, shipped_models


@pytest.mark.parametrize("model", CATALOGUE, ids=lambda model: model.name)
def test_every_row_is_sound(model) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*(-v1\.1)?", model.name)
    assert model.family in FAMILIES
    assert named_model(model.name) is model
    assert 30_000_000 < model.bytes < 1_000_000_000
    assert model.code_license and model.weights_license and model.paper.startswith("https://")
    if not model.shipped:
        assert model.name.endswith(name_of(model.file))
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
        assert model.pinned == (model.revision != "main")
        assert model.sha256 is None or (model.pinned and re.fullmatch(r"[0-9a-f]{64}", model.sha256))


def test_every_published_checkpoint_is_there() -> None:
    """Counted on the Hub's pages: 16 of VidTok 1.0, 7 configurations of 1.1, 13 of OmniTokenizer."""
    names = [model.name for model in CATALOGUE]
    assert len(set(names)) == len(names) == 1 + 16 + 7 + 13
    assert sum(name.endswith("-v1.1") for name in names) == 7
    continuous = [model for model in CATALOGUE if model.name.endswith("-vae")]
    assert [model.family for model in continuous] == ["omnitokenizer-vae"] * 2
    files = [(model.repository, model.file) for model in CATALOGUE]
    assert len(set(files)) == len(files)
    assert {model.name for model in CATALOGUE if model.shipped} == {DEFAULT_MODEL} <= set(shipped_models())


def test_published_files_have_names() -> None:
    assert name_of("vidtok_fsq_causal_488_32768.ckpt") == "vidtok-fsq-causal-488-32768"
    assert name_of("a/vidtok_kl_causal_488_4chn_v1_1.ckpt") == "vidtok-kl-causal-488-4chn-v1.1"
    model = named_model("vidtok-kl-causal-488-16chn-v1.1")
    assert model is not None
    assert model.file == "checkpoints/vidtok_v1_1/vidtok_kl_causal_488_16chn_v1_1.ckpt"
    assert model.family == "vidtok-kl"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("vidtok-fsq-causal-488-3276", "vidtok-fsq-causal-488-32768"),
        ("vidtok_fsq_causal_488_32768.ckpt", "vidtok-fsq-causal-488-32768"),
        ("omnitokeniser-imagenet-ucf", "omnitokenizer-imagenet-ucf"),
        ("imagenet_ucf", "omnitokenizer-imagenet-ucf"),
        ("sweetok-smal", "sweettok-small"),
        ("vidtok", "vidtok-fsq-causal-41616-262144"),
    ],
)
def test_misspelt_names_are_understood(typed: str, meant: str) -> None:
    assert suggestions(typed)[0] == meant
    with pytest.raises(local.SweettokError, match=rf"no model '{typed}'; did you mean {meant}"):
        find_model(typed)


def test_other_names_are_suggested_too() -> None:
    assert suggestions("my-firts", ["my-first"]) == ["my-first"]
    assert suggestions("zebra") == []


def test_a_name_that_was_not_pulled_says_how(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path))
    with pytest.raises(
        local.SweettokError, match=r"`sweettok models pull omnitokenizer-ffhq` \(about 763 MB\)\.$"
    ):
        find_model("omnitokenizer-ffhq")
    with pytest.raises(
        local.SweettokError, match=r"no folder runs/first.*`sweettok models pull runs/first`\.$"
    ):
        find_model("runs/first")
