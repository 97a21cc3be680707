"""`sweettok models` without a network: the list, the check, the help."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sweettok_cli.zoo.catalogue import CATALOGUE
from sweettok_cli.zoo.local import find_model

Cli = Callable[..., "object"]
COMMANDS = ("list", "pull", "convert", "push", "verify")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def copy(home: Path) -> Path:
    """The shipped model as one that was pulled under another name."""
    shutil.copytree(find_model("sweettok-small"), home / "me--copy")
    return home / "me--copy"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_and_the_common_options(cli: Cli, command: str) -> None:
    ran = cli("models", command, "--help")
    assert f"sweettok models {command}" in ran.out.split("Examples:")[1].split("Options:")[0]
    assert "--json" in ran.out and "--quiet" in ran.out


def test_the_list_shows_every_name(cli: Cli) -> None:
    ran = cli("models", "list")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *(model.name for model in CATALOGUE)]
    assert "shipped" in lines[1]
    row = next(line for line in lines if line.startswith("omnitokenizer-ffhq "))
    assert " ".join(row.split()) == "omnitokenizer-ffhq omnitokenizer MIT 763 MB on the Hub images only"
    assert sum("not published" in line for line in lines) == 2


def test_the_list_can_be_read_by_programs(cli: Cli, copy: Path, home: Path) -> None:
    table = json.loads(cli("models", "list", "--json").out)
    assert table["store"] == str(home)
    rows = {row["name"]: row for row in table["models"]}
    assert rows["sweettok-small"]["state"] == "shipped" and rows["sweettok-small"]["folder"]
    vidtok = rows["vidtok-fsq-causal-488-32768"]
    assert (vidtok["state"], vidtok["folder"], vidtok["pinned"]) == ("on the Hub", None, False)
    assert (vidtok["repository"], vidtok["revision"]) == ("microsoft/VidTok", "main")
    assert rows["omnitokenizer-ffhq"]["pinned"] and len(rows["omnitokenizer-ffhq"]["sha256"]) == 64
    assert rows["me/copy"]["state"] == "pulled" and rows["me/copy"]["folder"] == str(copy)


def test_a_damaged_model_does_not_hide_the_others(cli: Cli, copy: Path) -> None:
    (copy / "config.json").write_text("{")
    ran = cli("models", "list")
    assert ran.code == 0 and "sweettok-small" in ran.out
    assert "damaged" in next(line for line in ran.out.splitlines() if line.startswith("me/copy"))


def test_what_was_pulled_goes_by_name(cli: Cli, copy: Path) -> None:
    assert find_model("me/copy") == copy
    ran = cli("models", "pull", "sweettok-small")
    assert (ran.code, ran.err) == (0, "") and ran.out.split()[0] == str(find_model("sweettok-small"))


def test_whole_models_pass(cli: Cli, copy: Path) -> None:
    ran = cli("models", "verify")
    assert ran.code == 0
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        ["ok", "me/copy"],
        ["ok", "sweettok-small"],
    ]


def test_a_damaged_one_is_found_and_the_remedy_named(cli: Cli, copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy, tmp_path / "mine")
    for folder in (copy, tmp_path / "mine"):
        with open(folder / "model.safetensors", "r+b") as stream:
            stream.seek(-1, 2)
            stream.write(b"\x7f")
    ran = cli("models", "verify", "me/copy", "sweettok-small", tmp_path / "mine", "--json")
    assert ran.code == 1
    assert ran.err == f"error: Damaged: me/copy, {tmp_path / 'mine'}.\n"
    table = json.loads(ran.out)
    assert [row["state"] for row in table["models"]] == ["damaged", "ok", "damaged"]
    assert not table["whole"]
    assert table["models"][0]["detail"].endswith("run `sweettok models pull me/copy --force`.")
    assert table["models"][2]["detail"].endswith("export, convert or fetch it again.")


def test_an_unknown_name_is_one_sentence(cli: Cli) -> None:
    for command in (("verify",), ("pull",)):
        ran = cli("models", *command, "sweettok-smal")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == "error: There is no model 'sweettok-smal'; did you mean sweettok-small?\n"


def test_a_dry_push_of_the_shipped_model(cli: Cli) -> None:
    ran = cli("models", "push", find_model("sweettok-small"), "me/small", "--dry-run", "--json")
    assert ran.code == 0, ran.err
    table = json.loads(ran.out)
    files = {"config.json", "model.safetensors", "words.json", "prior.safetensors", "README.md"}
    assert set(table["files"]) == files
    assert (table["commit"], table["made"], table["revision"]) == (None, [], "main")


def test_a_push_takes_the_figures_of_a_record(cli: Cli) -> None:
    record = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "fidelity.json"
    push = ("models", "push", find_model("sweettok-small"), "me/small", "--dry-run")
    assert json.loads(cli(*push, "--json", "--eval", record).out)["made"] == ["README.md"]
    ran = cli(*push, "--eval", record.with_name("missing.json"))
    assert ran.code == 1 and ran.err.startswith("error: Cannot read ") and "sweettok eval --json" in ran.err
