"""`sweettok models push` against a Hub on this machine: what is sent, and what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from folder_files import model_files
from hub_server import TOKEN, HubServer

from sweettok_cli.errors import SweettokError
from sweettok_cli.storage.hub import address, endpoint, one_sentence
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.card import model_card
from sweettok_cli.zoo.push import plan_push

SOURCE = {"repository": "microsoft/VidTok", "path": "checkpoints/a.ckpt", "weights_license": "MIT"}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in model_files("trial", source=SOURCE).items():
        (folder / name).write_bytes(content)
    (folder / "notes.txt").write_text("not for others")
    return folder


def run(hub: HubServer, *arguments: object, code: int = 0, **env: str) -> tuple[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "SWEETTOK_"))}
    settings = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "sweettok_cli", "models", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**clean, **settings, **env},
        timeout=600,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_what_is_pushed_is_pulled(hub: HubServer, folder: Path, tmp_path: Path) -> None:
    home = {"HF_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN}
    out, _ = run(hub, "push", folder, "me/trial", "--private", "--json", **home)
    sent = json.loads(out)
    repository = hub.repositories["me/trial"]
    assert repository.private and repository.branches["main"] == sent["commit"]
    files = repository.commits[sent["commit"]]
    assert set(files) == {".gitattributes", "config.json", "model.safetensors", "README.md"}
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert files["config.json"] == (folder / "config.json").read_bytes()
    assert sent["made"] == ["README.md"] and not (folder / "README.md").exists()
    assert files["README.md"].decode() == model_card(ModelFolder(folder), "me/trial")
    # Weights go the way of large files, once, and without the key.
    assert [key for method, path, key in hub.requests if method == "PUT"] == [None]

    run(hub, "pull", "me/trial", **home)
    pulled = tmp_path / "home" / "sweettok" / "me--trial"
    assert ModelFolder(pulled).header.weights_sha256 == ModelFolder(folder).header.weights_sha256
    assert ModelFolder(pulled).header.source["pulled"]["revision"] == sent["commit"]
    assert ModelFolder(pulled).header.source["repository"] == "microsoft/VidTok"


def test_a_branch_and_a_card_of_ones_own(hub: HubServer, folder: Path) -> None:
    (folder / "README.md").write_text("# mine\n")
    hub.add("me/trial", {"README.md": b"# older\n"})
    out, err = run(hub, "push", folder, "me/trial", "--revision", "next", HF_TOKEN=TOKEN)
    assert out.endswith(f"{hub.url}/me/trial\n") and "(made)" not in out
    assert "Sending trial" in err
    branches, commits = hub.repositories["me/trial"].branches, hub.repositories["me/trial"].commits
    assert commits[branches["next"]]["README.md"] == b"# mine\n"
    assert commits[branches["main"]] == {"README.md": b"# older\n"}


def test_a_dry_run_sends_nothing(hub: HubServer, folder: Path) -> None:
    out, err = run(hub, "push", folder, "me/trial", "--dry-run")
    assert [line.split()[0] for line in out.splitlines()] == [
        "config.json",
        "model.safetensors",
        "README.md",
        "would",
    ]
    assert out.endswith(f"would be sent to {hub.url}/me/trial, branch main: 0.2 MB\n") and err == ""
    assert hub.requests == []


def test_a_damaged_folder_is_refused(hub: HubServer, folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    for more in ((), ("--dry-run",)):
        _, err = run(hub, "push", folder, "me/trial", *more, code=1, HF_TOKEN=TOKEN)
        assert "is damaged or of another model" in err and err.endswith("a damaged model is not sent.\n")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("repository", "token", "said"),
    [
        ("me/trial", "", "You are not logged in to http://127.0.0.1"),
        ("me/trial", "hf_wrong", "refuses access to me/trial (status 401); log in with `hf auth login`"),
        (
            "trial",
            TOKEN,
            "'trial' is no name of a repository; give OWNER/REPO, and a branch as its revision.",
        ),
        ("me/trial@next", TOKEN, "is no name of a repository"),
    ],
)
def test_refusals_are_one_sentence(
    hub: HubServer, folder: Path, tmp_path: Path, repository: str, token: str, said: str
) -> None:
    _, err = run(
        hub, "push", folder, repository, "-q", code=1, HF_TOKEN=token, HF_HOME=str(tmp_path / "home")
    )
    assert err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert hub.repositories == {}


def test_without_a_network_it_says_so(hub: HubServer, folder: Path) -> None:
    env = {"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"}
    _, err = run(hub, "push", folder, "me/trial", "-q", code=1, **env)
    assert err == "error: HF_HUB_OFFLINE is set; connect to the network, then push again.\n"


@pytest.mark.parametrize("file", ["README.md", "config.json", "model.safetensors"])
@pytest.mark.parametrize("whole", [True, False])
def test_links_are_not_followed(hub: HubServer, folder: Path, tmp_path: Path, file: str, whole: bool) -> None:
    secret = tmp_path / "secret"
    if (folder / file).exists():
        (folder / file).rename(secret)
    else:
        secret.write_text("secret")
    (folder / file).symlink_to(secret)
    if not whole:
        secret.unlink()
    with pytest.raises(SweettokError, match=file):
        plan_push(folder, "me/trial")


def test_a_token_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_schl\u00fcssel")
    with pytest.raises(SweettokError, match="HF_TOKEN"), one_sentence("me/trial"):
        pytest.fail("asked with it")


def test_the_password_of_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://me:geheim@mirror.example")
    assert (address(), endpoint()) == ("https://me:geheim@mirror.example", "https://mirror.example")
    with (
        pytest.raises(SweettokError, match=r"mirror\.example cannot be reached") as caught,
        one_sentence("a/b"),
    ):
        raise OSError("no answer from https://me:geheim@mirror.example/a/b")
    assert "geheim" not in str(caught.value)
