"""A folder that is written is there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import (
    FolderKind,
    atomic_folder,
    atomic_output,
    check_target,
    open_regular,
    read_json,
    sha256_file,
)
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.storage.plain_pickle import read_plain_pickle

MODEL = FolderKind("model", frozenset({"config.json", "model.safetensors"}), "config.json")


def write(folder: Path, text: str, force: bool = False) -> None:
    with atomic_folder(folder, MODEL, force) as part:
        assert list(part.iterdir()) == []
        (part / "model.safetensors").write_text(text)
        (part / "config.json").write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def both(text: str) -> dict[str, str]:
    return {"model.safetensors": text, "config.json": text}


def test_a_folder_is_written_and_replaced(tmp_path: Path) -> None:
    write(tmp_path / "m", "first")
    assert content(tmp_path / "m") == both("first")
    with pytest.raises(SweettokError, match=r"m exists; pass force=True"):
        write(tmp_path / "m", "second")
    write(tmp_path / "m", "second", force=True)
    assert content(tmp_path / "m") == both("second")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o777 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_of_an_error(tmp_path: Path, there: bool) -> None:
    if there:
        write(tmp_path / "m", "first")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "m", MODEL, force=True) as part:
        (part / "model.safetensors").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["m"] * there
    if there:
        assert content(tmp_path / "m") == both("first")


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(ValueError), atomic_folder(tmp_path / "m", MODEL) as part:
        (part / "model.safetensors").write_text("half")
        raise ValueError
    assert content(tmp_path / "m") == {}
    write(tmp_path / "m", "first")
    assert content(tmp_path / "m") == both("first")


def test_an_unfinished_folder_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_text("half")
    (tmp_path / "m" / ".model.x1y2.part.safetensors").write_text("less")
    write(tmp_path / "m", "first")
    assert content(tmp_path / "m") == both("first")


def test_other_files_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "thesis.tex").write_text("years of work")
    with pytest.raises(SweettokError, match=r"holds thesis\.tex, which is no part of a model"):
        write(tmp_path / "m", "first", force=True)
    (tmp_path / "f").write_text("")
    with pytest.raises(SweettokError, match="f is a file"):
        write(tmp_path / "f", "first", force=True)
    with pytest.raises(SweettokError, match="does not exist; create it"):
        write(tmp_path / "a" / "b", "first")
    assert content(tmp_path / "m") == {"thesis.tex": "years of work"}


# Where the program is killed: while it writes, or between the two moves that replace an older model.
PROGRAM = """
import os, signal, sys
from pathlib import Path
from sweettok_cli.files import (
    FolderKind,
    atomic_folder,
    atomic_output,
    open_regular,
    read_json,
    sha256_file,
)
from sweettok_cli.models.sweettok.folder import read_model
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.storage.plain_pickle import read_plain_pickle

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "between":
    rename = Path.rename
    Path.rename = lambda path, target: die() if path.suffix == ".part" else rename(path, target)
kind = FolderKind("model", frozenset({"config.json", "model.safetensors"}), "config.json")
with atomic_folder(Path(sys.argv[1]), kind, force=True) as part:
    (part / "config.json").write_text("killed")
    if sys.argv[2] == "writing":
        die()
"""


@pytest.mark.parametrize("moment", ["writing", "between"])
@pytest.mark.parametrize("there", [False, True])
def test_killed_programs_leave_the_old_model(tmp_path: Path, moment: str, there: bool) -> None:
    folder = tmp_path / "m"
    if there:
        write(folder, "first")
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(folder), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) > there  # something is left behind
    with pytest.raises(ValueError), atomic_folder(folder, MODEL, force=True):
        raise ValueError  # the next call first puts back what was there
    assert [path.name for path in tmp_path.iterdir()] == ["m"] * there
    if there:
        assert content(folder) == both("first")
    write(folder, "second", force=True)
    assert content(folder) == both("second")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_a_living_program_writes_stays(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "m", MODEL, force=True) as part:
        (part / "config.json").write_text("slow")
        program = "import sys; from pathlib import Path; from sweettok_cli.files import *\n"
        program += "kind = FolderKind('model', frozenset({'config.json'}), 'config.json')\n"
        program += "with atomic_folder(Path(sys.argv[1]), kind) as p: (p / 'config.json').write_text('fast')"
        subprocess.run([sys.executable, "-c", program, str(tmp_path / "m")], check=True)
        assert part.is_dir()
    assert content(tmp_path / "m") == {"config.json": "slow"}


@pytest.mark.parametrize("name", ["a" * 251 + ".npz", "é" * 125 + ".npz", "a" * 236 + ".mp4"])
def test_names_as_long_as_a_file_system_takes_are_written(tmp_path: Path, name: str) -> None:
    with atomic_output(tmp_path / name) as temporary:
        assert temporary.suffix == Path(name).suffix
        temporary.write_bytes(b"all")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127])
def test_folders_of_long_names_are_written(tmp_path: Path, name: str) -> None:
    for content in (b"1", b"2"):
        with atomic_folder(tmp_path / name, MODEL, force=True) as folder:
            for file in sorted(MODEL.files):
                (folder / file).write_bytes(content)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("call", "code"), [("chmod", errno.EPERM), ("fsync", errno.EINVAL), ("link", errno.EPERM)]
)
def test_a_file_system_that_knows_less_keeps_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """As mounted buckets and Windows shares do."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with atomic_output(tmp_path / "a.npz") as temporary:
        temporary.write_bytes(b"all")
    with atomic_folder(tmp_path / "model", MODEL) as folder:
        for file in MODEL.files:
            (folder / file).write_bytes(b"1")
    assert (tmp_path / "a.npz").read_bytes() == b"all" and (tmp_path / "model").is_dir()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_never_ends_is_not_read(tmp_path: Path, model_folder: Path, kind: str) -> None:
    path = tmp_path / "endless"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        open_regular(path)
    for read in (sha256_file, lambda path: read_json(path, "fetch it"), read_plain_pickle):
        with pytest.raises((OSError, SweettokError), match="not a regular file"):
            read(path)
    for name in ("model.safetensors", "words.json"):
        folder = tmp_path / f"without-{name}"
        shutil.copytree(model_folder, folder)
        (folder / name).unlink()
        (folder / name).symlink_to(path)
        with pytest.raises(SweettokError, match=rf"{name} .*not a regular file"):
            read_model(ModelFolder(folder))


def test_a_name_that_no_file_system_takes_is_one_sentence(tmp_path: Path) -> None:
    for name in ("x" * 252 + ".mp4", "é" * 126 + ".mp4"):
        with pytest.raises(SweettokError, match=r"longer than 255 bytes; give a shorter one"):
            check_target(tmp_path / name, force=True)
    check_target(tmp_path / ("x" * 251 + ".mp4"), force=False)
