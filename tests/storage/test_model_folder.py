"""Model folders: written, found, read back, and what is said when one is damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_network import small_config, small_network, word_prior

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import sha256_file
from sweettok_cli.models.sweettok.folder import StoredModel, read_model, read_words, save_model_folder
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.storage.model_folder import ModelFolder, read_folder
from sweettok_cli.zoo import local
from sweettok_cli.zoo.local import find_model, shipped_models


@pytest.fixture(scope="module")
def network() -> SweetTok:
    return small_network()


@pytest.fixture
def folder(network: SweetTok, tmp_path: Path) -> Path:
    save_model_folder(tmp_path / "trial", network, word_prior())
    return tmp_path / "trial"


def load(folder: Path) -> StoredModel:
    return read_folder(folder, read_model)


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_saved_is_loaded(folder: Path, network: SweetTok) -> None:
    stored, header = load(folder), ModelFolder(folder).header
    assert (header.name, stored.config) == ("trial", small_config())
    assert header.weights_sha256 == sha256_file(folder / "model.safetensors")
    state, found = network.state_dict(), stored.network.state_dict()
    assert found.keys() == state.keys()
    for name, value in found.items():
        rounded = state[name].half().float() if state[name].is_floating_point() else state[name]
        assert value.equal(rounded) and value.dtype == state[name].dtype, name
    words = word_prior()
    assert stored.words.about == words.about == {"from": "dice"}
    for ours, theirs in ((stored.words.spatial, words.spatial), (stored.words.temporal, words.temporal)):
        assert (ours.modifiers, ours.heads) == (theirs.modifiers, theirs.heads)
        assert (ours.edges == theirs.edges).all()
        assert abs(ours.vectors - theirs.vectors).max() < 2e-3
    assert all(not t.is_meta for t in (*stored.network.parameters(), *stored.network.buffers()))


def test_weights_are_stored_in_half_precision(folder: Path, network: SweetTok) -> None:
    kinds = {value.dtype for value in load_file(folder / "model.safetensors").values()}
    assert kinds == {torch.float16, torch.int32}
    parameters = sum(value.numel() for value in network.parameters())
    assert (folder / "model.safetensors").stat().st_size < 2.2 * parameters + 50_000


def test_files_are_what_the_format_says(folder: Path) -> None:
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "words.json",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config["format"] == "sweettok-model" and config["version"] == 1 and "source" not in config
    header = ModelFolder(folder).header
    assert (header.family, header.name) == ("sweettok", "trial") and header.config == config["config"]
    assert read_words(ModelFolder(folder))["temporal"]["heads"][2] == "motion-head-2"


def test_saving_again_replaces(folder: Path, network: SweetTok) -> None:
    save_model_folder(folder, network, word_prior(), name="other")
    assert ModelFolder(folder).header.name == "other"
    assert len(list(folder.iterdir())) == 3


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def damage_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no tensors at all")
    change_config(folder, weights_sha256=sha256_file(folder / "model.safetensors"))


def drop_a_word(folder: Path) -> None:
    words = json.loads((folder / "words.json").read_text())
    words["spatial"]["heads"].pop()
    (folder / "words.json").write_text(json.dumps(words))


def drop_a_list(folder: Path) -> None:
    (folder / "words.json").write_text(json.dumps({"spatial": {"modifiers": ["a", "b"], "heads": ["c"]}}))


def float_edges(folder: Path) -> None:
    """In a format that NumPy has not."""
    path = folder / "model.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith(".edges"))
    save_file({**state, name: state[name].to(torch.bfloat16)}, path)
    change_config(folder, weights_sha256=sha256_file(path))


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut weights": (cut_weights, "is not the file that config.json names"),
    "no tensors": (damage_weights, "Cannot read the weights"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "Cannot read the weights"),
    "other weights": (lambda f: change_config(f, weights_sha256="ab" * 32), "is not the file"),
    "other version": (lambda f: change_config(f, version=2), "has version 2, this sweettok reads 1; upgrade"),
    "other format": (lambda f: change_config(f, format="zip"), "does not describe a sweettok model"),
    "unknown setting": (lambda f: change_config(f, config={"depth": 3}), "describes no network"),
    "impossible network": (lambda f: change_config(f, config={"motion": "flow"}), "describes no network"),
    "no settings": (lambda f: change_config(f, config=None), "describes no network"),
    "fewer words": (drop_a_word, "The spatial words of .* do not fit its weights"),
    "edges of fractions": (float_edges, "The spatial words of .* do not fit its weights"),
    "a list too few": (drop_a_list, "lacks the temporal words"),
    "no words": (lambda f: (f / "words.json").unlink(), r"Cannot read .*words\.json"),
    "no object": (lambda f: (f / "config.json").write_text("[]"), "holds no JSON object"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), r"Cannot read .*config\.json"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGE.values(), ids=DAMAGE)
def test_damage_is_one_sentence(folder: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(folder)
    with pytest.raises(SweettokError, match=words) as caught:
        load(folder)
    assert re.search(r"(again|upgrade it|another folder)\.$", str(caught.value))


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    del state["decoder.mask_token"]
    save_file(state, folder / "model.safetensors")
    change_config(folder, weights_sha256=sha256_file(folder / "model.safetensors"))
    with pytest.raises(SweettokError, match="do not fit its configuration"):
        load(folder)


def test_reader_caught_while_files_are_replaced_reads_again(folder: Path, network: SweetTok) -> None:
    """New weights beside the configuration that was read, until the reader has failed once."""
    later = small_network()
    with torch.no_grad():
        later.post_vq_spatial.bias.fill_(7.0)
    opened = []

    def read(model: ModelFolder) -> StoredModel:
        opened.append(model)
        if len(opened) == 1:
            save_model_folder(folder, later, word_prior())
        return read_model(model)

    stored = read_folder(folder, read)
    assert len(opened) == 2
    assert stored.network.post_vq_spatial.bias[0] == 7.0
    assert opened[1].header.weights_sha256 == sha256_file(folder / "model.safetensors")


def test_shipped_models_go_by_name(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "shipped_folders", lambda: [tmp_path])
    assert shipped_models() == ["trial"]
    assert find_model("trial") == folder
    with pytest.raises(SweettokError, match=r"no model 'tiral'; did you mean trial\?"):
        find_model("tiral")
    monkeypatch.setattr(local, "shipped_folders", list)
    with pytest.raises(SweettokError, match="none is installed"):
        find_model("trial")


def test_folders_go_by_path(folder: Path, tmp_path: Path) -> None:
    assert find_model(str(folder)) == folder
    (tmp_path / "empty").mkdir()
    with pytest.raises(SweettokError, match=r"empty holds no model: config\.json is missing"):
        find_model(str(tmp_path / "empty"))
