"""`sweettok models pull` against a Hub on this machine: what arrives, what is refused, what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from folder_files import model_files
from hub_server import TOKEN, HubServer, sha256

from sweettok_cli.packing.prior import PriorLearner
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.zoo import local
from sweettok_cli.zoo.catalogue import named_model
from tests.published_files import save_small_omnitokenizer

NAME, OMNI, FILE = "omnitokenizer-ffhq-ucf", "Daniel0724/OmniTokenizer", "ffhq_ucf.ckpt"
VIDTOK = "microsoft/VidTok"
TRIAL = "me/trial"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small network in the layout of the file that NAME is published as."""
    return save_small_omnitokenizer(tmp_path_factory.mktemp("published") / FILE).read_bytes()


@pytest.fixture
def hub(checkpoint: bytes) -> Iterator[HubServer]:
    with HubServer() as server:
        model = named_model(NAME)
        assert model is not None and model.sha256 is None  # its hash is not known, so a small one passes
        server.add(OMNI, {FILE: checkpoint}, oid=model.revision)
        server.add(VIDTOK, {"checkpoints/vidtok_fsq_causal_488_32768.ckpt": checkpoint})
        server.add(TRIAL, model_files("trial"))
        yield server


@dataclass
class Place:
    """A home for models, and the command run in it."""

    home: Path
    hub: HubServer

    @property
    def store(self) -> Path:
        return self.home / "sweettok"

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "SWEETTOK_"))}
        settings = {"HF_ENDPOINT": self.hub.url, "HF_HOME": str(self.home), "HF_HUB_DISABLE_XET": "1"}
        return subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stopping.py")), "models", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean, **settings, **env},
        )

    def run(self, *arguments: str, code: int = 0, **env: str) -> tuple[str, str]:
        process = self.start(*arguments, **env)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, err
        return out, err

    def refuse(self, *arguments: str, **env: str) -> str:
        """The one sentence of a failure."""
        out, err = self.run(*arguments, code=1, **env)
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        assert (out, len(errors)) == ("", 1) and err.endswith(errors[0] + "\n") and "Traceback" not in err
        return errors[0]

    def names(self) -> set[str]:
        return {path.parent.name for path in self.store.glob("*/config.json")}

    def nothing_is_left_over(self) -> bool:
        parts = self.store / ".parts"
        return not parts.exists() or not list(parts.iterdir())


@pytest.fixture
def place(tmp_path: Path, hub: HubServer) -> Place:
    return Place(tmp_path, hub)


def test_a_named_model_is_fetched_checked_and_converted_once(
    place: Place, hub: HubServer, checkpoint: bytes
) -> None:
    out, err = place.run("pull", NAME, "--json")
    assert f"Fetching {NAME} from {hub.url}/{OMNI} ({FILE}, 0.8 MB)" in err
    (row,) = json.loads(out)["models"]
    folder = place.store / NAME
    assert (row["name"], row["folder"], row["fetched"]) == (NAME, str(folder), True)
    assert (
        row["source"].items()
        >= {
            "repository": OMNI,
            "revision": hub.repositories[OMNI].branches["main"],
            "path": FILE,
            "sha256": sha256(checkpoint),
            "code_license": "MIT",
            "weights_license": "MIT",
            "paper": "https://arxiv.org/abs/2406.09399",
        }.items()
    )
    assert json.loads((folder / "config.json").read_text())["source"] == row["source"]
    assert not list(place.home.rglob("*.ckpt")) and place.nothing_is_left_over()

    hub.out_of_order = True  # it is here; nobody is asked
    out, err = place.run("pull", NAME, "--json")
    assert not json.loads(out)["models"][0]["fetched"] and err == ""


def test_a_repository_of_a_model_folder_is_fetched_as_it_is(place: Place, hub: HubServer) -> None:
    files = {**model_files("trial", 1), "README.md": b"# trial\n", "other.bin": b"x"}
    spec = TokenizerSpec(name="trial", codebooks={"indices": [4]})
    files["prior.safetensors"] = PriorLearner(spec).prior().content
    commit = hub.add("me/hidden", files, private=True)
    assert "no repository me/hidden that is open to you" in place.refuse("pull", "me/hidden")
    assert "Fetching me/hidden" in place.run("pull", "me/hidden", HF_TOKEN=TOKEN)[1]
    folder = place.store / "me--hidden"
    assert {path.name for path in folder.iterdir()} == files.keys() - {"other.bin"}
    for name in ("model.safetensors", "prior.safetensors"):
        assert (folder / name).read_bytes() == files[name]
    config = json.loads((folder / "config.json").read_text())
    assert config["source"]["pulled"] == {"repository": "me/hidden", "revision": commit}
    # The key stays at home when the large file comes from another host.
    assert {key for method, path, key in hub.requests if "/cdn/" in path} == {None}
    # It is found under the repository's name and, for token files, under its own.
    found = "from sweettok_cli.zoo.load import resolve_model as r; print(r('me/hidden'), r('trial'))"
    done = subprocess.run(
        [sys.executable, "-c", found],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": str(place.home)},
    )
    assert done.stdout.split() == [str(folder), str(folder)], done.stderr


def test_a_cut_connection_is_gone_on_with(place: Place, hub: HubServer) -> None:
    hub.cuts = [100_000]
    place.run("pull", TRIAL)
    assert hub.sent("GET", "/cdn/") == 2 and place.names() == {"me--trial"}


def test_what_is_not_what_was_announced_is_refused(place: Place, hub: HubServer) -> None:
    hub.lies = True
    for name in (NAME, TRIAL):
        assert "is not what http://127.0.0.1" in place.refuse("pull", name)
    assert place.names() == set() and place.nothing_is_left_over()
    assert not list(place.home.rglob("*.ckpt"))


def test_a_published_file_that_was_replaced_is_refused(place: Place, hub: HubServer) -> None:
    model = named_model("omnitokenizer-imagenet-ucf")
    assert model is not None
    hub.add(model.repository, {model.file: b"\1other weights"}, oid=model.revision)
    assert "is not the file that is known here" in place.refuse("pull", model.name)
    assert place.names() == set()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("me/unheard-of", "has no repository me/unheard-of that is open to you; check the name"),
        ("me/trial@v9", "/me/trial has no revision v9; check"),
        (
            "vidtok-kl-causal-488-4chn",
            "has no file checkpoints/vidtok_kl_causal_488_4chn.ckpt at revision main",
        ),
        ("vidtok-fsq-causal-488-32768", "is not vidtok-fsq-causal-488-32768: missing decoder.conv_in"),
        (VIDTOK, "holds no model of sweettok: config.json is missing; a checkpoint of another kind"),
        ("me/foreign", "/me/foreign holds no model that this sweettok reads (config.json does not describe"),
        ("me/mixed", "What was fetched as me/mixed is not whole (model.safetensors is damaged"),
        (
            "vidtok-fsq-causal-488",
            "no model 'vidtok-fsq-causal-488'; did you mean vidtok-fsq-causal-488-4096",
        ),
    ],
)
def test_what_cannot_be_had_is_one_sentence(place: Place, hub: HubServer, name: str, said: str) -> None:
    hub.add("me/foreign", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""})
    hub.add(
        "me/mixed", {**model_files("a", 1), "model.safetensors": model_files("a", 2)["model.safetensors"]}
    )
    assert said in place.refuse("pull", name)
    assert place.names() == set() and place.nothing_is_left_over()


def test_without_a_network_it_says_what_to_do(place: Place, hub: HubServer) -> None:
    remedy = f"where there is one and copy its folder to {place.store / NAME}."
    error = place.refuse("pull", NAME, HF_HUB_OFFLINE="1")
    assert f"The model {NAME} is not on this machine, and HF_HUB_OFFLINE is set; connect" in error
    assert error.endswith(remedy)
    error = place.refuse("pull", NAME, HF_ENDPOINT="http://127.0.0.1:9")
    assert "and http://127.0.0.1:9 cannot be reached (" in error and error.endswith(remedy)
    hub.out_of_order = True
    assert "503" in place.refuse("pull", NAME)


def test_the_hubs_cache_serves_without_a_network(place: Place, hub: HubServer, tmp_path: Path) -> None:
    place.run("pull", NAME, "--keep-download")
    (kept,) = place.home.rglob("hub/**/*.ckpt")
    other = str(tmp_path / "elsewhere")
    _, err = place.run("pull", NAME, HF_HUB_OFFLINE="1", SWEETTOK_HOME=other)
    assert f"Fetching {NAME} from the Hub's cache" in err
    config = json.loads((tmp_path / "elsewhere" / NAME / "config.json").read_text())
    assert config["source"]["revision"] == hub.repositories[OMNI].branches["main"]
    assert kept.exists()  # what was in the cache before is not ours to remove
    content = kept.resolve()
    content.write_bytes(content.read_bytes()[:-1])
    assert "is not what" in place.refuse("pull", NAME, "--force", HF_HUB_OFFLINE="1", SWEETTOK_HOME=other)
    assert not kept.exists()
    assert (tmp_path / "elsewhere" / NAME / "config.json").exists()  # the older one stays


def kill(process: subprocess.Popen[str], when: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 600
    while not when():
        assert process.poll() is None and time.monotonic() < give_up, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_killed_while_fetching_and_run_again_it_succeeds(place: Place, hub: HubServer) -> None:
    hub.stall_after = 100_000
    kill(place.start("pull", TRIAL), hub.stalled.is_set)
    hub.go_on.set()
    assert list(place.store.rglob("*.incomplete"))
    assert place.names() == set() and not place.nothing_is_left_over()
    place.run("pull", TRIAL)
    assert place.names() == {"me--trial"} and place.nothing_is_left_over()
    assert hub.sent("GET", "/cdn/") == 2


def test_killed_while_converting_and_run_again_it_succeeds(
    place: Place, hub: HubServer, tmp_path: Path
) -> None:
    def kill_at(moment: str, *options: str) -> None:
        stopped = tmp_path / "stopped"
        stopped.unlink(missing_ok=True)
        process = place.start("pull", NAME, *options, STOP_AT=moment, STOPPED=str(stopped))
        kill(process, stopped.exists)

    # Before the weights are in the folder that becomes the model, and when they are.
    for moment in ("model.safetensors", "config.json"):
        kill_at(moment)
        assert place.names() == set() and not place.nothing_is_left_over()
    place.run("pull", NAME)
    assert place.names() == {NAME} and place.nothing_is_left_over()
    assert hub.sent("GET", "/cdn/") == 1  # a file that had arrived is not fetched again

    # Killed while it is replaced, the old model serves; another model's pull clears what is left.
    weights = place.store / NAME / "model.safetensors"
    before = weights.stat().st_ino
    kill_at("config.json", "--force")
    assert weights.stat().st_ino == before and not place.nothing_is_left_over()
    place.run("pull", TRIAL)
    assert place.nothing_is_left_over() and place.names() == {NAME, "me--trial"}


def test_two_at_once_fetch_once(place: Place, hub: HubServer) -> None:
    hub.stall_after = 100_000
    first = place.start("pull", TRIAL)
    assert hub.stalled.wait(600)
    second = place.start("pull", TRIAL)
    assert second.stderr is not None
    timer = threading.Timer(600, hub.go_on.set)  # should it never say that it waits
    timer.start()
    said = iter(second.stderr.readline, "")
    assert any(f"Waiting for another process that fetches {TRIAL}" in line for line in said)
    timer.cancel()
    hub.go_on.set()
    ends = [process.communicate(timeout=600)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    assert hub.sent("GET", "/cdn/") == 1 and place.names() == {"me--trial"}


def test_a_damaged_model_is_fetched_again(place: Place) -> None:
    place.run("pull", TRIAL)
    weights = place.store / "me--trial" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "cut off" in place.run("verify", code=1)[0]
    assert "cut off" in place.run("pull", TRIAL)[1]
    assert "damaged" not in place.run("verify")[0]


def test_a_replacement_that_was_cut_off_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path))
    old = tmp_path / ".parts" / ".old.model"
    old.mkdir(parents=True)
    (old / "config.json").write_text("{}")
    with local.building("another", print):
        assert local.stored_models() == {"model": tmp_path / "model"}
    with local.building("model", print) as part:
        part.model.mkdir()
        (part.model / "config.json").write_text("new")
        built = part.model.stat().st_ino
        assert local.install(part) == tmp_path / "model"
    assert (tmp_path / "model").stat().st_ino == built  # moved as one, not copied
    assert (tmp_path / "model" / "config.json").read_text() == "new"
    assert list((tmp_path / ".parts").iterdir()) == []


def test_where_models_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SWEETTOK_HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    assert local.store_folder() == Path("/home/me/.cache/huggingface/sweettok")
    monkeypatch.setenv("XDG_CACHE_HOME", "/big/cache")
    assert local.store_folder() == Path("/big/cache/huggingface/sweettok")
    monkeypatch.setenv("HF_HOME", "~/hub")
    assert local.store_folder() == Path("/home/me/hub/sweettok")
    monkeypatch.setenv("SWEETTOK_HOME", str(tmp_path))
    assert local.stored_folder("a/b@v1") == tmp_path / "a--b@v1"
    assert [local.find_stored(name) for name in ("", "..", "../x", "/", "a/b")] == [None] * 5


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("me/trial", ("me/trial", None)),
        ("me/tri.al-2@refs/pr/1", ("me/tri.al-2", "refs/pr/1")),
        ("../trial", None),
        ("me/..", None),
        ("a/b/c", None),
        ("trial", None),
        ("me/trial@", None),
        ("me/a--b", None),
    ],
)
def test_names_of_repositories(name: str, parts: object) -> None:
    assert local.split_repository(name) == parts


def test_a_store_that_cannot_be_written_is_one_sentence(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = place.refuse("pull", NAME, SWEETTOK_HOME=str(tmp_path / "file"))
    assert "Cannot write into" in error and "set SWEETTOK_HOME to a folder that can be written" in error
