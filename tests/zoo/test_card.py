"""Model cards: what they tell people, and the metadata that the Hub reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from folder_files import model_files
from huggingface_hub import ModelCard
from small_models import CONTINUOUS

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.card import model_card, results_of

SHIPPED = Path(__file__).resolve().parent.parent.parent / "weights"


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    source = {"repository": "microsoft/VidTok", "path": "checkpoints/a.ckpt", "weights_license": "MIT"}
    for name, content in model_files("trial", source=source).items():
        (tmp_path / name).write_bytes(content)
    return ModelFolder(tmp_path)


def test_a_card_tells_what_is_known(model: ModelFolder) -> None:
    card: Any = ModelCard(model_card(model, "me/trial"))
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "sweettok", "video-to-video")
    assert data.tags == ["video-tokenizer", "omnitokenizer", "arxiv:2406.09399"]
    assert data.eval_results is None and "model-index" not in data.to_dict()
    assert "| converted from | microsoft/VidTok |" in card.text
    assert "| paper | https://arxiv.org/abs/2406.09399 |" in card.text
    assert model.header.weights_sha256 in card.text
    assert "sweettok models pull me/trial" in card.text
    assert "Discrete tokens" in card.text and "None were measured" in card.text


def test_a_card_says_what_the_family_stores(families: dict[str, Path]) -> None:
    for kind, folder in families.items():
        model = ModelFolder(folder)
        stored = "Continuous latents" if kind in CONTINUOUS else "Discrete tokens"
        assert f"of the family {model.header.family}, stored for sweettok. {stored}.\n" in model_card(
            model, "me/a"
        )


def test_what_others_wrote_breaks_no_table(tmp_path: Path) -> None:
    files = model_files("a\n# b", source={"repository": "x | y\n| z", "paper": "no |\n address"})
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    card: Any = ModelCard(model_card(ModelFolder(tmp_path), "me/trial"))
    assert "\n# a # b\n" in card.text
    assert "| converted from | x \\| y \\| z |\n" in card.text and "| paper | no \\| address |\n" in card.text


def test_a_damaged_record_is_one_sentence(model: ModelFolder) -> None:
    for record in ({}, {"data": {}, "contenders": [{}]}, {"data": None, "contenders": 3}):
        with pytest.raises(SweettokError, match=r"^The record of the evaluation is damaged; make it anew\.$"):
            results_of(record, model.header)


@pytest.mark.parametrize("folder", sorted(SHIPPED.iterdir()), ids=lambda folder: folder.name)
def test_the_metadata_of_shipped_cards_are_what_their_text_states(folder: Path) -> None:
    card: Any = ModelCard((folder / "README.md").read_text(encoding="utf-8"))
    data = card.data
    assert (data.library_name, data.pipeline_tag) == ("sweettok", "video-to-video")
    assert data.license and data.model_name == folder.name and "arxiv:2412.10443" in data.tags
    figures = {each.metric_type: each.metric_value for each in data.eval_results}
    assert f"| PSNR | **{figures['psnr']:.2f} dB**" in card.text
    assert f"| SSIM | **{figures['ssim']:.4f}**" in card.text
    assert f"| bits per pixel | {figures['bits_per_pixel']:.4f}" in card.text
