"""``sweettok recognise`` and ``sweettok eval recognition`` on small clips, by a small network."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from causal_model import save_causal_model
from small_run import write_clip

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recognition"))
from chat_server import ChatServer

Cli = Callable[..., Any]
CLASSES = ("Biking", "Knitting", "YoYo")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of three clips of one picture each, in three groups, alike."""
    folder = tmp_path_factory.mktemp("shots") / "few"
    for seed, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for group in range(3):
            clip = folder / label / f"v_{label}_g0{group}_c01.mp4"
            write_clip(clip, seed, frames=17, width=64, height=64)
    return folder


@pytest.fixture
def clip(shelf: Path, tmp_path: Path) -> Path:
    """A copy of one of them, of the second class."""
    return Path(shutil.copy(shelf / "Knitting" / "v_Knitting_g01_c01.mp4", tmp_path / "clip.mp4"))


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal_model(tmp_path_factory.mktemp("models") / "letters", longest=1 << 14)


def test_the_class_is_that_of_the_nearest_examples(
    cli: Cli, shelf: Path, clip: Path, model_folder: Path
) -> None:
    ran = cli("recognise", clip, "--shots", shelf, "-m", model_folder, "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert (found["class"], found["method"]) == ("Knitting", "nearest class by tokens")
    assert list(found["scores"]) == list(CLASSES)
    assert max(found["scores"], key=found["scores"].get) == "Knitting" and found["scores"]["Knitting"] <= 1
    assert [len(each) for each in found["shots"].values()] == [3, 3, 3]
    text = cli("recognise", clip, "--shots", shelf, "-m", model_folder, "--quiet").out
    assert text.startswith("Knitting\n") and f"{found['scores']['YoYo']:.4f}" in text


def test_token_files_say_the_same(
    cli: Cli, shelf: Path, clip: Path, model_folder: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    assert cli("encode", shelf, "-o", tokens, "-m", model_folder, "--fixed", "--quiet").code == 0
    assert cli("encode", clip, "-m", model_folder, "--fixed", "--quiet").code == 0
    given = ("recognise", clip.with_suffix(".npz"), "--shots", tokens, "-m", model_folder, "--json")
    stored = json.loads(cli(*given).out)
    video = json.loads(
        cli("recognise", clip, "--shots", shelf, "-m", model_folder, "--json", "--frames", 99).out
    )
    assert stored["scores"] == pytest.approx(video["scores"])


def test_a_clip_is_no_example_of_itself(cli: Cli, shelf: Path, model_folder: Path) -> None:
    inside = shelf / "YoYo" / "v_YoYo_g02_c01.mp4"
    ran = cli("recognise", inside, "--shots", shelf, "-m", model_folder, "--json")
    assert ran.code == 0 and "is the clip itself" in ran.err
    assert str(inside) not in json.loads(ran.out)["shots"]["YoYo"]


def test_a_language_model_is_asked_what_is_shown(
    cli: Cli, shelf: Path, clip: Path, model_folder: Path, causal: Path
) -> None:
    given = ("recognise", clip, "--shots", shelf, "-m", model_folder, "--top", 2, "--json")
    prompt = json.loads(cli(*given, "--show-prompt").out)["prompt"]
    assert prompt.count("Class: ") == 9 and prompt.endswith("\nClass:")
    assert "nouns: space-head-" in prompt and "adverbs: motion-modifier-" in prompt
    found = json.loads(cli(*given, "--llm", causal).out)
    assert found["method"] == str(causal) and found["class"] == max(found["scores"], key=found["scores"].get)

    def last(asked: str, choices: list[str]) -> str:
        assert asked == prompt
        return choices[-1]

    with ChatServer(last) as chat:
        found = json.loads(cli(*given, "--llm", chat.url).out)
    assert (found["class"], found["scores"], found["method"]) == ("YoYo", None, "served")
    used = json.loads(cli(*given, "--show-prompt", "--words", "used").out)["prompt"]
    assert used != prompt and used.count("nouns: ") == 10


def test_what_is_asked_for_must_be_there(cli: Cli, shelf: Path, clip: Path, tmp_path: Path) -> None:
    assert cli("recognise", clip).code == 2
    assert cli("recognise", clip, "--shots", shelf, "--words", "best").code == 2
    ran = cli("recognise", clip, "--shots", tmp_path / "absent")
    assert ran.code == 1 and "does not hold one folder a class" in ran.err and ran.err.count("\n") == 1
    ran = cli("recognise", tmp_path / "absent.mp4", "--shots", shelf)
    assert ran.code == 1 and "absent.mp4" in ran.err and ran.err.count("\n") == 1


def test_recognition_is_measured(
    cli: Cli, shelf: Path, model_folder: Path, causal: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    given = ("eval", "recognition", "--data", shelf, "-m", model_folder, "--shots", "2,1,5", "--repeats", 2)
    ran = cli(*given, "--llm", causal, "--top", 1, "--report", page, "--json")
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["data"] == "few" and record["model"] == model_folder.name
    assert list(record["about"]) == [str(causal), "tokens", "word vectors", "pixels"]
    one, two = record["settings"]
    assert [(each["shots"], each["queries"], each["groups"]) for each in (one, two)] == [(1, 9, 9), (2, 9, 9)]
    assert one["chance"] == pytest.approx(1 / 3) and one["labels"] == list(CLASSES) and one["episodes"] == 18
    for setting in (one, two):
        for method in setting["methods"]:
            assert sum(map(sum, method["confusion"])) == 18
            right = sum(method["confusion"][n][n] for n in range(3))
            assert method["accuracy"]["value"] == pytest.approx(right / 18)
        assert [method["accuracy"]["value"] for method in setting["methods"][1:]] == [1, 1, 1]
    assert list(record["not_measured"]) == ["5 shots"]
    episode = record["episodes"][0]
    assert record["clips"][episode["query"]]["group"] == "Biking_g00"
    assert all(
        record["clips"][n]["label"] == label for label, each in episode["examples"].items() for n in each
    )
    assert all(
        record["clips"][n]["group"] != record["clips"][each["query"]]["group"]
        for each in record["episodes"]
        for shots in each["examples"].values()
        for n in shots
    )
    text = page.read_text(encoding="utf-8")
    assert "Knitting" in text and "100.0\u00a0%" in text and "33.3&nbsp;%" in text
    again = cli(*given, "--report", page)
    assert again.code == 1 and "exists" in again.err


def test_what_is_shown_says_chance_and_baselines(
    cli: Cli, shelf: Path, model_folder: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    assert cli("encode", shelf, "-o", tokens, "-m", model_folder, "--fixed", "--quiet").code == 0
    (tokens / "YoYo" / "v_YoYo_g07_c01.npz").write_text("no tokens")
    ran = cli("eval", "recognition", "--data", tokens, "-m", model_folder, "--shots", 1, "--quiet")
    assert ran.code == 1 and "v_YoYo_g07_c01.npz" in ran.err and ran.err.count("\n") == 1
    assert "33.3 %" in ran.out and "100.0 %" in ran.out
    assert "pixels were not measured: token files hold no pixels" in ran.out
    assert "taken for another by tokens, 1 shot: none" in ran.out


def test_the_first_prompt_is_shown(cli: Cli, shelf: Path, model_folder: Path) -> None:
    given = ("eval", "recognition", "--data", shelf, "-m", model_folder, "--shots", "1", "--show-prompt")
    text = cli(*given).out
    assert text.count("Class: ") == 3 and text.endswith("Class:\n")
    assert cli(*given).out == text


def test_groups_may_be_given(cli: Cli, shelf: Path, model_folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    rows = [f"{path.name},{path.parent.name if 'g02' in path.name else 'all'}" for path in shelf.glob("*/*")]
    table.write_text("\n".join(["file,group", *rows]))
    given = ("eval", "recognition", "--data", shelf, "-m", model_folder, "--groups", table, "--json")
    ran = cli(*given, "--shots", "1", "--repeats", 1)
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record["settings"][0]["groups"] == 4 and record["protocol"]["groups"] == "from groups.csv"
    ran = cli(*given, "--shots", "2")
    assert ran.code == 1 and "has no two classes with 2 clips outside the group" in ran.err


@pytest.mark.parametrize(
    "given",
    [
        ("eval", "--json", "recognition"),
        ("eval", "recognition"),
        ("eval", "recognition", "--data", ".", "--shots", "0"),
        ("eval", "recognition", "--data", ".", "--shots", "one"),
        ("eval", "recognition", "--data", ".", "--keep-going", "--strict"),
    ],
)
def test_wrong_usage_of_recognition_is_two(cli: Cli, given: tuple[str, ...]) -> None:
    assert cli(*given).code == 2


def test_a_folder_of_that_name_is_still_a_folder(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recognition").mkdir()
    ran = cli("eval", "./recognition")
    assert ran.code == 1 and "The folder recognition holds no video or picture" in ran.err


def test_layouts_may_be_mixed(cli: Cli, shelf: Path, clip: Path, model: Path, tmp_path: Path) -> None:
    fixed, levels, mixed = (tmp_path / name for name in ("fixed", "levels", "mixed"))
    assert cli("encode", shelf, "-o", fixed, "-m", model, "--fixed", "--quiet").code == 0
    assert cli("encode", shelf, "-o", levels, "-m", model, "--quiet").code == 0
    shutil.copytree(levels, mixed)
    for path in fixed.rglob("*_g01_*"):
        shutil.copy(path, mixed / path.relative_to(fixed))
    name = "Knitting/v_Knitting_g01_c01.npz"
    for query, shots in ((levels / name, fixed), (fixed / name, levels), (clip, levels)):
        ran = cli("recognise", query, "--shots", shots, "-m", model, "--json")
        assert ran.code == 0 and "encode all of them with --fixed" in ran.err, ran.err
        assert json.loads(ran.out)["class"] == "Knitting"
        shown = cli("recognise", query, "--shots", shots, "-m", model, "--show-prompt")
        assert shown.code == 0 and "detail:" not in shown.out
    for data in (levels, mixed):
        given = ("eval", "recognition", "--data", data, "-m", model, "--shots", 1, "--repeats", 2)
        ran = cli(*given, "--json")
        assert ran.code == 0 and ("with --fixed" in ran.err) is (data == mixed), ran.err
        (setting,) = json.loads(ran.out)["settings"]
        assert [each["name"] for each in setting["methods"]] == ["tokens", "word vectors"]
        assert cli(*given, "--show-prompt").code == 0
