"""Checkpoints appear whole, are pruned, and where one is damaged the one before it is read."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.checkpoint import CheckpointStore

CPU = torch.device("cpu")


def save(store: CheckpointStore, step: int) -> None:
    store.save(step, {"step": step, "weights": torch.full((3,), float(step))})


def test_newest_are_kept_and_loaded(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    for step in (5, 10, 15, 15):
        save(store, step)
    assert store.steps() == [10, 15]
    state, failures = store.load(CPU)
    assert failures == []
    assert state["step"] == 15 and torch.equal(state["weights"], torch.full((3,), 15.0))


def test_half_written_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    save(store, 5)
    with pytest.raises(TypeError):  # of pickle, after the file has been opened
        store.save(10, {"lock": threading.Lock()})
    assert store.steps() == [5]
    assert store.load(CPU)[0]["step"] == 5
    assert [p.name for p in store.folder.iterdir()] == ["00000005"], "what was written of it is removed"
    (store.folder / ".00000010.partial").mkdir()  # of a run that was killed
    store.clean()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000005"]


def test_damaged_ones_are_put_aside_for_the_one_before(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=1)
    with pytest.raises(SweettokError, match="no checkpoint to resume from"):
        store.load(CPU)
    save(store, 5)
    store.keep = 3
    for step in (10, 15):
        save(store, step)
    whole = (store.path(15) / "state.pt").read_bytes()
    middle = whole.index(b"\0\0\x70\x41")  # 15.0, one of the weights
    (store.path(15) / "state.pt").write_bytes(whole[:middle] + b"\1" + whole[middle + 1 :])
    (store.path(10) / "state.pt").unlink()
    state, failures = store.load(CPU)
    assert state["step"] == 5
    assert [why[: why.index(" (")] for why in failures] == [
        f"The checkpoint {store.path(step)} cannot be read" for step in (15, 10)
    ]
    assert all(why.endswith("it is called .damaged now, and step 5 goes on") for why in failures)
    assert store.steps() == [5, 10, 15], "reading alone changes nothing"
    store.clean()
    store.keep = 1
    save(store, 7)
    assert sorted(p.name for p in store.folder.iterdir()) == [
        "00000007",
        "00000010.damaged",
        "00000015.damaged",
    ]
    (store.path(7) / "state.pt").write_bytes(whole[:200])
    with pytest.raises(SweettokError, match=r"00000007 cannot be read .*no older one either"):
        store.load(CPU)
