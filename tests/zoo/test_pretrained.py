"""Tokenizers from the Hub and to it, by the methods that its library knows, against a Hub on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import TOKEN, HubServer, take_the_place
from huggingface_hub import ModelCard, ModelHubMixin, constants
from small_models import SAVE

import sweettok
from sweettok import SweettokError, Tokenizer
from sweettok_cli.models.sweettok.tokenizer import SweetTokTokenizer
from sweettok_cli.models.vidtok.tokenizer import VidTokTokenizer
from sweettok_cli.storage.model_folder import ModelFolder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        take_the_place(server.url, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "usual"))
        monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def record(folder: Path) -> dict[str, Any]:
    figure = {"value": 28.38471, "unit": "dB"}
    method = {"name": "m", "weights_sha256": ModelFolder(folder).header.weights_sha256}
    return {
        "format": "sweettok-eval",
        "command": "sweettok eval clips --json",
        "data": {"name": "clips", "split": None, "clips": 3, "frames": 60},
        "contenders": [{**method, "summary": {"psnr": figure, "ssim": {"value": 0.83, "unit": ""}}}],
    }


def test_a_revision_comes_from_the_hub_into_the_cache_that_is_named(
    hub: HubServer, families: dict[str, Path], tmp_path: Path
) -> None:
    old = hub.add("me/model", {**contents(families["sweettok"]), "prior.safetensors": b"counts"})
    hub.add("me/model", contents(families["vidtok-fsq-causal"]))
    cache = tmp_path / "cache"
    found = Tokenizer.from_pretrained("me/model", revision=old, cache_dir=cache, device="cpu")
    assert isinstance(found, SweetTokTokenizer) and isinstance(found, ModelHubMixin)
    assert found.origin is not None and found.origin.path == cache / "models--me--model" / "snapshots" / old
    assert (found.origin.path / "prior.safetensors").read_bytes() == b"counts"
    assert isinstance(VidTokTokenizer.from_pretrained("me/model", cache_dir=cache, device="cpu"), Tokenizer)
    assert isinstance(Tokenizer.from_pretrained(f"me/model@{old}", cache_dir=cache), SweetTokTokenizer)
    with pytest.raises(SweettokError, match=r"me/model is not SweetTokTokenizer, but VidTokTokenizer; use"):
        SweetTokTokenizer.from_pretrained("me/model", cache_dir=cache)
    assert not (tmp_path / "usual").exists() and not (tmp_path / "store").exists()

    asked = len(hub.requests)
    alone = Tokenizer.from_pretrained("me/model", revision=old, cache_dir=cache, local_files_only=True)
    assert alone.spec == found.spec and len(hub.requests) == asked
    with pytest.raises(SweettokError, match=r"cache has no config\.json of me/model at .* local_files_only"):
        Tokenizer.from_pretrained("me/model", local_files_only=True)

    hub.requests.clear()
    Tokenizer.from_pretrained("me/model", revision=old, cache_dir=cache)
    assert hub.sent("GET", "model.safetensors") == 0
    Tokenizer.from_pretrained("me/model", revision=old, cache_dir=cache, force_download=True)
    assert hub.sent("GET", "cdn/me/model") == 2  # the weights and the prior


def test_the_token_that_is_given_is_shown(
    hub: HubServer, families: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    hub.add("me/model", contents(families["sweettok"]), private=True)
    for token in (None, False, "hf_wrong"):
        with pytest.raises(SweettokError, match=r"no repository me/model that is open to you|refuses access"):
            Tokenizer.from_pretrained("me/model", token=token)
    with pytest.raises(SweettokError, match="You are not logged in to http"):
        Tokenizer.from_pretrained("me/model", token=True)
    assert Tokenizer.from_pretrained("me/model", token=TOKEN).spec.family == "sweettok"


def test_what_is_no_repository_is_said(hub: HubServer, families: dict[str, Path], tmp_path: Path) -> None:
    folder = families["sweettok"]
    assert Tokenizer.from_pretrained(folder).spec.name == Tokenizer.from_pretrained(str(folder)).spec.name
    for name, settings, said in (
        ("nobody/nothing", {}, "has no repository nobody/nothing"),
        (str(folder), {"revision": "main"}, "is no repository of the Hub, and has no revisions"),
        ("vidtok-fsq-causal-488-4096", {"local_files_only": True}, "is not on this machine"),
        ("swettok", {}, "There is no model 'swettok'"),
    ):
        with pytest.raises(SweettokError, match=said):
            Tokenizer.from_pretrained(name, **settings)
    hub.add("me/other", {"README.md": b"# other\n"})
    with pytest.raises(SweettokError, match=r"me/other at revision main holds no model .* config\.json is"):
        Tokenizer.from_pretrained("me/other")
    hub.out_of_order = True
    with pytest.raises(SweettokError, match=r"is not in the Hub's cache, and .* is out of order"):
        Tokenizer.from_pretrained("me/other")


@pytest.mark.parametrize("kind", SAVE)
def test_what_is_saved_is_what_was_loaded(families: dict[str, Path], kind: str, tmp_path: Path) -> None:
    tokenizer = sweettok.load(families[kind], device="cpu")
    assert tokenizer.save_pretrained(tmp_path / "copy") is None
    for path in families[kind].iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    card = ModelCard.load(tmp_path / "copy" / "README.md").data.to_dict()
    assert (card["pipeline_tag"], card["library_name"]) == ("video-to-video", "sweettok")
    papers = {"s": "2412.10443", "o": "2406.09399", "v": "2412.13061"}
    assert f"arxiv:{papers[kind[0]]}" in card["tags"]
    assert tokenizer.generate_model_card("copy").data.to_dict() == card


def test_changed_weights_are_saved_as_they_are_now(families: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = sweettok.load(families["omnitokenizer"], device="cpu")
    network: Any = tokenizer.network  # type: ignore[attr-defined]
    name, weight = next(iter(network.named_parameters()))
    with torch.no_grad():
        weight += 1
    tokenizer.save_pretrained(tmp_path / "new")
    again: Any = sweettok.load(tmp_path / "new", device="cpu")
    assert again.network.get_parameter(name).equal(weight)
    assert again.spec.weights_sha256 != tokenizer.spec.weights_sha256


def test_what_is_pushed_is_had_again_with_its_figures(
    hub: HubServer, families: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer = sweettok.load(families["sweettok"], device="cpu")
    (tmp_path / "score.json").write_text(json.dumps(record(families["sweettok"])))
    address = tokenizer.push_to_hub("me/new", private=True, token=TOKEN, record=tmp_path / "score.json")
    repository = hub.repositories["me/new"]
    assert address == f"{hub.url}/me/new/commit/{repository.branches['main']}" and repository.private
    card: Any = ModelCard(repository.commits[repository.branches["main"]]["README.md"].decode())
    found = {each.metric_type: each.metric_value for each in card.data.eval_results}
    assert found == {"psnr": 28.3847, "ssim": 0.83}
    assert card.data.eval_results[0].dataset_name == "clips, 3 clips"
    assert "| psnr, dB | 28.3847 |" in card.text and 'from_pretrained("me/new")' in card.text
    assert Tokenizer.from_pretrained("me/new").spec.weights_sha256 == tokenizer.spec.weights_sha256
    tokenizer.save_pretrained(tmp_path / "x", repo_id="me/new", push_to_hub=True, branch="next")
    assert "next" in repository.branches


def test_a_card_of_ones_own_keeps_its_text_and_gets_the_figures(
    families: dict[str, Path], tmp_path: Path
) -> None:
    sweettok.load(families["sweettok"]).save_pretrained(tmp_path / "a")
    (tmp_path / "score.json").write_text(json.dumps(record(tmp_path / "a")))
    for own in ("# mine\n", "---\nlicense: mit\n---\n\n# mine\n"):
        (tmp_path / "a" / "README.md").write_text(own)
        sweettok.load(tmp_path / "a").save_pretrained(tmp_path / "b", record=tmp_path / "score.json")
        card: Any = ModelCard.load(tmp_path / "b" / "README.md")
        assert card.text.strip() == "# mine" and len(card.data.eval_results) == 2
        assert card.data.license == ("mit" if "mit" in own else None)


def test_what_cannot_be_saved_is_one_sentence(families: dict[str, Path], tmp_path: Path) -> None:
    tokenizer = sweettok.load(families["sweettok"], device="cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(SweettokError, match=r"Cannot save sweettok as .*file \(File exists\)"):
        tokenizer.save_pretrained(tmp_path / "file")
    (tmp_path / "score.json").write_text(json.dumps(record(families["omnitokenizer"])))
    with pytest.raises(
        SweettokError, match="The record measures m, and no model with the weights of sweettok"
    ):
        tokenizer.save_pretrained(tmp_path / "a", record=tmp_path / "score.json")
    assert not (tmp_path / "a").exists()
    (tmp_path / "score.json").write_text("[]")
    with pytest.raises(SweettokError, match=r"score\.json is no record of an evaluation"):
        tokenizer.save_pretrained(tmp_path / "a", record=tmp_path / "score.json")
    tokenizer.origin = None
    with pytest.raises(SweettokError, match=r"was not loaded from a model's folder"):
        tokenizer.save_pretrained(tmp_path / "a")
