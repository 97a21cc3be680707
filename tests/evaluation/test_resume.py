"""A run that was killed goes on, and ends with what an undisturbed run ends with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from measuring import colour_distance, fill, film, make_plan, measure, without_times

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.journal import Journal, item_key, run_key
from sweettok_cli.evaluation.plan import Plan

HERE = Path(__file__).resolve().parent

KILLED = """
import os, signal, sys
from pathlib import Path
from block_tokenizer import BlockTokenizer
from measuring import colour_distance, make_plan, measure

class Dying(BlockTokenizer):
    def decode_batch(self, tokens, height, width):
        if (height, width) == (64, 128) and tokens["temporal"].shape[1] == 0:  # the third of four
            os.kill(os.getpid(), signal.SIGKILL)
        return super().decode_batch(tokens, height, width)

plan = make_plan(Path(sys.argv[1]), Dying(), set_metrics=[colour_distance()], codecs=["x264"])
measure(plan, Path(sys.argv[2]))
"""


def plan_of(folder: Path) -> Plan:
    return make_plan(folder, set_metrics=[colour_distance()], codecs=["x264"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = fill(tmp_path / "clips")
    film(folder / "d.mp4", 5, 64, 64, seed=4)
    return folder


def test_a_killed_run_goes_on_and_ends_the_same(folder: Path, tmp_path: Path) -> None:
    whole, _ = measure(plan_of(folder), tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, folder, tmp_path / "killed"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])},
        capture_output=True,
        timeout=900,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with Journal(tmp_path / "killed", run_key(plan_of(folder))) as journal:
        assert len(journal) == 2
        # And the kill hit in the middle of a line.
        with (journal.folder / "items.jsonl").open("ab") as stream:
            stream.write(b'{"key": "abc", "name": "c.pn')
    resumed, found = measure(plan_of(folder), tmp_path / "killed")
    assert found.resumed == 2
    assert without_times(resumed) == without_times(whole)
    again, found = measure(plan_of(folder), tmp_path / "killed")
    assert found.resumed == 4 and {**again, "date": resumed["date"]} == resumed


def test_only_what_is_the_same_is_taken_from_the_journal(folder: Path, tmp_path: Path) -> None:
    plan = make_plan(folder)
    first, _ = measure(plan, tmp_path)
    # Another metric, another way of cutting: another journal.
    assert measure(make_plan(folder, metrics=("psnr",)), tmp_path)[1].resumed == 0
    assert measure(make_plan(folder, overlap=3), tmp_path)[1].resumed == 0
    # A file that has changed is measured again, the others are not.
    shutil.copy(folder / "d.mp4", folder / "b.mp4")
    changed, found = measure(make_plan(folder), tmp_path)
    assert found.resumed == 3 and changed["clips"][0] != first["clips"][0]
    assert changed["clips"][1:] == first["clips"][1:]
    os.utime(folder / "d.mp4")  # of the same length, and perhaps another film
    assert measure(make_plan(folder), tmp_path)[1].resumed == 3


def test_fresh_forgets_and_discard_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    plan = make_plan(folder)
    measure(plan, tmp_path / "j")
    with Journal(tmp_path / "j", run_key(plan)) as journal:
        assert len(journal) == 4 and journal.get(item_key(plan.items[0])) is not None
        with (
            pytest.raises(SweettokError, match="running already"),
            Journal(tmp_path / "j", run_key(plan)),
        ):
            pass
    with Journal(tmp_path / "j", run_key(plan), fresh=True) as journal:
        assert len(journal) == 0
        journal.discard()
    assert list((tmp_path / "j").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(SweettokError, match=r"cannot be written .* --journal"),
        Journal(tmp_path / "file", "f" * 64),
    ):
        pass
