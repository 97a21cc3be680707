"""Token files of either kind by their names, with the priors of models that go by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import read_spec
from sweettok_cli.packing.file import PackedFile
from sweettok_cli.packing.prior import PRIOR_FILE, PriorLearner
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.tokens import Tokens
from sweettok_cli.zoo import local
from sweettok_cli.zoo.load import load
from sweettok_cli.zoo.pretrained import save_tokenizer
from sweettok_cli.zoo.push import plan_push
from sweettok_cli.zoo.token_files import given_prior, prior_of, read_tokens, write_tokens
from sweettok_cli.zoo.verify import check_folder


@pytest.fixture(scope="module")
def encoded(model_folder: Path) -> Tokens:
    video = np.random.default_rng(0).integers(0, 255, (20, 64, 64, 3), dtype=np.uint8)
    return load(str(model_folder), "cpu", "float32").encode(video)


@pytest.fixture
def model(model_folder: Path, tmp_path: Path, encoded: Tokens, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped model with a prior."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "shipped" / "small"))
    learner = PriorLearner(read_spec(ModelFolder(folder)))
    learner.add(encoded, "tokens")
    learner.prior().write(folder / PRIOR_FILE)
    monkeypatch.setattr(local, "shipped_folders", lambda: [folder.parent])
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    return folder


def test_prior_of_a_named_model_is_used_and_found(model: Path, encoded: Tokens, tmp_path: Path) -> None:
    path = tmp_path / "clip.swt"
    write_tokens(path, encoded)
    prior = prior_of(encoded.meta)
    assert prior is not None and PackedFile.open(path).prior_sha256 == prior.sha256
    found = read_tokens(path)
    np.testing.assert_array_equal(found.arrays["spatial"], encoded.arrays["spatial"])
    # Found by what it is, under whatever name.
    model.rename(model.with_name("renamed"))
    read_tokens(path)
    (model.with_name("renamed") / PRIOR_FILE).unlink()
    with pytest.raises(
        SweettokError, match=r"clip\.swt was packed with the token prior .*pass the folder .*model='FOLDER'"
    ):
        read_tokens(path)


def test_plain_files_are_plain(model: Path, encoded: Tokens, tmp_path: Path) -> None:
    write_tokens(tmp_path / "clip.npz", encoded)
    assert np.load(tmp_path / "clip.npz")["spatial"].shape == encoded.arrays["spatial"].shape
    assert read_tokens(tmp_path / "clip.npz").meta == encoded.meta


def test_prior_of_other_weights_is_not_used(model: Path, encoded: Tokens, tmp_path: Path) -> None:
    import dataclasses

    other = Tokens(encoded.arrays, dataclasses.replace(encoded.meta, weights_sha256="0" * 64))
    assert prior_of(other.meta) is None
    write_tokens(tmp_path / "clip.swt", other)
    assert PackedFile.open(tmp_path / "clip.swt").prior_sha256 is None
    assert given_prior("small")(encoded.meta).weights_sha256 == encoded.meta.weights_sha256
    with pytest.raises(SweettokError, match="name the model that encoded them"):
        given_prior("small")(other.meta)
    (model / PRIOR_FILE).unlink()
    with pytest.raises(SweettokError, match="has no token prior; make one with"):
        given_prior("small")


def test_prior_goes_where_the_model_goes(model: Path, tmp_path: Path) -> None:
    save_tokenizer(load(str(model), "cpu"), tmp_path / "copy", "me/small")
    assert (tmp_path / "copy" / PRIOR_FILE).read_bytes() == (model / PRIOR_FILE).read_bytes()
    assert PRIOR_FILE in plan_push(model, "me/small").files


def test_damaged_prior_is_found_out(model: Path) -> None:
    check_folder(model)
    (model / PRIOR_FILE).write_bytes(b"nothing")
    with pytest.raises(SweettokError, match="is no token prior"):
        check_folder(model)
