"""Checkpoints appear whole, are pruned, and restore the generators."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
import torch

from sweettok_cli.errors import SweettokError
from sweettok_cli.training.checkpoint import CheckpointStore, random_state, set_random_state

CPU = torch.device("cpu")


def save(store: CheckpointStore, step: int) -> None:
    store.save(step, {"step": step, "weights": torch.full((3,), float(step))}, [random_state()])


def test_newest_are_kept_and_loaded(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    for step in (5, 10, 15, 15):
        save(store, step)
    assert store.steps() == [10, 15]
    state, _ = store.load(CPU, 0)
    assert state["step"] == 15 and torch.equal(state["weights"], torch.full((3,), 15.0))


def test_half_written_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    save(store, 5)
    with pytest.raises(TypeError):  # of pickle, after the generators have been written
        store.save(10, {"lock": threading.Lock()}, [random_state()])
    assert store.steps() == [5]
    assert store.load(CPU, 0)[0]["step"] == 5
    assert [p.name for p in store.folder.iterdir()] == ["00000005"], "what was written of it is removed"
    (store.folder / ".00000010.partial").mkdir()  # of a run that was killed
    store.clean()
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["00000005"]


def test_absent_and_damaged_are_named(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    with pytest.raises(SweettokError, match="no checkpoint to resume from"):
        store.load(CPU, 0)
    save(store, 5)
    with pytest.raises(SweettokError, match="00000005 was written by 1 process; resume with as many"):
        store.load(CPU, 1)
    state = store.path(5) / "state.pt"
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(SweettokError, match="00000005"):
        store.load(CPU, 0)


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", keep=1)
    save(store, 1)
    drawn = (random.random(), torch.rand(3).tolist())
    set_random_state(store.load(CPU, 0)[1])
    assert (random.random(), torch.rand(3).tolist()) == drawn
    before = random_state()
    torch.rand(1)
    set_random_state(before)
    assert torch.equal(random_state()["torch"], before["torch"])
