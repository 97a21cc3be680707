"""``sweettok search`` and ``sweettok words --classes`` on folders of token files and of videos."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.tokens import Tokens, write_tokens

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with levels, its words made up, but for two whose names are those of classes."""
    from small_network import small_network, word_prior

    from sweettok_cli.models.sweettok.folder import save_model_folder
    from sweettok_cli.models.sweettok.network import grown

    words = word_prior()
    words.spatial.heads[:2] = ["dive", "row"]
    folder = tmp_path_factory.mktemp("models") / "small"
    save_model_folder(folder, grown(small_network(words), words, levels=2), words)
    return folder


@pytest.fixture(scope="module")
def tokens(model: Path) -> Tokens:
    """Of one clip of 64x64 in the fixed layout; all name the first words."""
    from sweettok_cli.models.common.budget import Budget
    from sweettok_cli.zoo.load import load

    made = load(model, "cpu").encode(np.zeros((17, 64, 64, 3), np.uint8), budget=Budget(fixed=True))
    return Tokens({**made.arrays, "spatial": np.zeros_like(made.arrays["spatial"])}, made.meta)


@pytest.fixture
def folder(tokens: Tokens, tmp_path: Path) -> Path:
    """Two classes of three clips; each clip has a noun of its class, one of its own, and one of all."""
    for number in range(6):
        label = ("Diving", "Rowing")[number // 3]
        spatial = tokens.arrays["spatial"].copy()
        spatial[0, :6, 2], spatial[0, 6:9, 2], spatial[0, 9:, 2] = number // 3, 3 + number, 2
        (tmp_path / "classes" / label).mkdir(parents=True, exist_ok=True)
        changed = Tokens({**tokens.arrays, "spatial": spatial}, tokens.meta)
        write_tokens(tmp_path / "classes" / label / f"{number}.npz", changed)
    return tmp_path / "classes"


def test_clips_of_the_same_words_come_first(cli: Cli, folder: Path, model: Path) -> None:
    query = folder / "Diving" / "0.npz"
    ran = cli("search", query, folder, "-m", model, "--json")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    assert (record["query"], record["model"], record["failed"]) == (str(query), "small", [])
    found = [(Path(each["file"]).name, each["words"]) for each in record["files"]]
    assert found[:2] == [("1.npz", ["dive"]), ("2.npz", ["dive"])]
    assert [each for each in found[2:] if each[1]] == [] and len(found) == 5
    text = cli("search", query, folder, "-m", model, "--top", 1).out
    assert "1.npz" in text and "dive" in text and "2.npz" not in text


def test_a_video_finds_its_tokens_whatever_their_budget(
    cli: Cli, folder: Path, model: Path, tmp_path: Path
) -> None:
    from small_run import write_clip

    write_clip(tmp_path / "clip.mp4", 1, frames=17, width=64, height=64)
    made = cli("encode", tmp_path / "clip.mp4", "-o", folder / "clip.npz", "-m", model, "--quiet")
    assert made.code == 0
    ran = cli("search", tmp_path / "clip.mp4", folder, "-m", model, "--json", "--quiet")
    assert ran.code == 0
    first = json.loads(ran.out)["files"][0]
    assert Path(first["file"]).name == "clip.npz" and first["similarity"] == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_searched_is_a_sentence(cli: Cli, folder: Path, model: Path) -> None:
    query = folder / "Diving" / "0.npz"
    ran = cli("search", query, query, "-m", model)
    assert ran.code == 1 and "There is no file but" in ran.err and ran.err.count("\n") == 1
    ran = cli("search", folder / "absent.npz", folder, "-m", model)
    assert ran.code == 1 and "absent.npz" in ran.err and ran.out == ""
    (folder / "bad.npz").write_text("text")
    ran = cli("search", query, folder, "-m", model, "--json")
    assert ran.code == 1 and ran.err.count("\n") == 1
    record = json.loads(ran.out)
    assert len(record["files"]) == 5 and record["failed"][0]["file"].endswith("bad.npz")


def test_classes_show_words_right_and_wrong(cli: Cli, folder: Path, model: Path) -> None:
    ran = cli("words", folder, "--classes", "-m", model, "--top", 2, "--json")
    assert (ran.code, ran.err) == (0, "")
    record = json.loads(ran.out)
    diving, rowing = record["classes"]
    assert (diving["name"], diving["files"], diving["units"]) == ("Diving", 3, 3)
    common, own = diving["words"]["nouns"]
    assert (own["word"], own["right"], own["auc"], own["near"]) == ("dive", True, 1, 1)
    assert own["p"] == 0.05 and own["elsewhere"] == 0
    assert (common["right"], common["auc"]) == (False, 0.5) and 0 <= common["near"] < 1
    assert [word["word"] for word in rowing["words"]["nouns"]][1] == "row"
    summary = record["summary"]
    assert summary["right"] == 2 / summary["words"] and record["failed"] == []
    text = cli("words", folder, "--classes", "-m", model).out
    assert "Diving: 3 clips" in text and "nouns" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "too few" not in text
    (folder / "Diving" / "0.npz").unlink()
    assert "Diving: 2 clips; too few for a p below 0.10" in cli("words", folder, "--classes", "-m", model).out


def test_classes_need_folders(cli: Cli, folder: Path, model: Path) -> None:
    assert cli("words", folder, folder, "--classes", "-m", model).code == 2
    assert cli("words", folder / "Diving" / "0.npz", "--classes", "-m", model).code == 2
    ran = cli("words", folder / "Diving", "--classes", "-m", model)
    assert ran.code == 1 and "lies beside the folders of classes" in ran.err
