from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.holding import claimed
from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.folder import encode_folder, encode_job
from sweettok_cli.pipeline.plan import Job
from sweettok_cli.runtime import OnProgress
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import write_image


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures, one of them below, and a text that says it is a third."""
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name, grey in (("a.png", 40), ("sub/c.png", 99)):
        write_image(root / name, np.full((40, 70, 3), grey, np.uint8))
    (root / "b.png").write_text("text, renamed")
    return root


def test_a_folder_is_encoded_and_what_fails_costs_no_other(pictures: Path) -> None:
    out = pictures.parent / "out"
    given = [pictures, pictures / "none.mp4"]
    seen: list[object] = []

    @contextmanager
    def watch(place: int, jobs: int, name: str) -> Iterator[OnProgress]:
        seen.append((place, jobs, name))
        yield lambda done, total: seen.append((done, total))

    missing, first, broken, last = encode_folder(given, out, BlockTokenizer, watch=watch)
    assert (missing.source, missing.output, missing.status) == (given[1], None, "refused")
    assert (first.source, first.output) == (pictures / "a.png", out / "in" / "a.png.npz")
    assert (broken.source, broken.status) == (pictures / "b.png", "failed")
    assert isinstance(broken.error, SweettokError) and "b.png" in str(broken.error)
    assert not (out / "in" / "b.png.npz").exists()
    for result in (first, last):
        assert result.status == "done" and result.error is None and result.seconds > 0
        assert result.output is not None and read_tokens(result.output).meta == result.meta
    assert seen == [(0, 3, "a.png"), (1, 1), (1, 3, "b.png"), (2, 3, "c.png"), (1, 1)]


def test_the_model_is_loaded_once_and_only_for_work(pictures: Path) -> None:
    (pictures / "b.png").unlink()
    loaded: list[BlockTokenizer] = []

    def load() -> BlockTokenizer:
        loaded.append(BlockTokenizer())
        return loaded[-1]

    assert [result.status for result in encode_folder([pictures], None, load)] == ["done"] * 2
    assert [result.status for result in encode_folder([pictures], None, load)] == ["refused"] * 2
    (pictures / "a.png.npz").unlink()
    resumed = list(encode_folder([pictures], None, load, skip_existing=True))
    assert [(result.source.name, result.status) for result in resumed] == [
        ("c.png", "skipped"),
        ("a.png", "done"),
    ]
    assert len(loaded) == 2
    assert [result.status for result in encode_folder([pictures], None, load, force=True)] == ["done"] * 2


def test_a_job_of_its_own_takes_its_settings(examples: Path, tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    job = Job(examples / "intel-iot-devkit+sample-videos__001.mp4", tmp_path / "clip.npz")
    result = encode_job(job, tokenizer, batch_clips=1, overlap=12)
    assert result.meta is not None and (result.meta.overlap, result.meta.frames) == (12, 20)
    assert tokenizer.batches == [(1, 17, 256, 512, 3)] * 2
    again = encode_job(job, tokenizer)
    assert again.status == "failed" and "exists" in str(again.error)
    assert encode_job(job, tokenizer, force=True).status == "done"


def test_what_fails_unforeseen_is_kept_without_its_pixels(pictures: Path) -> None:
    class Lost(BlockTokenizer):
        """A device that goes away in the middle of a clip."""

        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            held.append(weakref.ref(clips))
            raise RuntimeError("device lost")

    held: list[weakref.ref[Tensor]] = []
    result = encode_job(Job(pictures / "a.png", pictures / "a.npz"), Lost())
    gc.collect()
    assert (result.status, str(result.error)) == ("failed", "device lost")
    assert [clips() for clips in held] == [None]


def test_nothing_to_encode_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="nothing to encode"):
        list(encode_folder([], tmp_path, lambda: pytest.fail("no model is needed")))


def encoded_by(folder: Path, weights: str = "b10c" * 16, **options: Any) -> list[Result]:
    (folder / "b.png").unlink(missing_ok=True)
    return list(encode_folder([folder], None, lambda: BlockTokenizer(weights_sha256=weights), **options))


def test_only_what_this_model_made_of_this_source_is_skipped(pictures: Path) -> None:
    assert [result.status for result in encoded_by(pictures)] == ["done"] * 2
    assert [result.status for result in encoded_by(pictures, skip_existing=True)] == ["skipped"] * 2
    other = encoded_by(pictures, "ab" * 32, skip_existing=True)
    assert [result.status for result in other] == ["refused"] * 2
    assert "other weights" in str(other[0].error) and "force=True" in str(other[0].error)
    assert [r.status for r in encoded_by(pictures, "ab" * 32, skip_existing=True, force=True)] == ["done"] * 2

    first, second = (result.output for result in encoded_by(pictures, "ab" * 32, skip_existing=True))
    assert first is not None and second is not None
    first.write_bytes(b"")
    later = second.stat().st_mtime + 10
    source = next(path for path in pictures.rglob("*") if path.name == second.stem)
    os.utime(source, (later, later))
    empty, changed = encoded_by(pictures, "ab" * 32, skip_existing=True)
    assert "is empty" in str(empty.error) and "has changed since" in str(changed.error)
    done = encoded_by(pictures, "ab" * 32, skip_existing=True, force=True)
    assert [result.status for result in done] == ["done"] * 2


def test_pictures_of_another_rate_or_number_are_another_video(tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    for number in range(4):
        write_image(tmp_path / "shots" / f"{number}.png", np.full((40, 70, 3), number, np.uint8))

    def status(rate: int) -> str:
        how = {"frames": True, "skip_existing": True, "force": True}
        found = encode_folder([tmp_path / "shots"], None, BlockTokenizer, rate=Fraction(rate), **how)
        return next(iter(found)).status

    assert [status(rate) for rate in (24, 24, 30, 30)] == ["done", "skipped", "done", "skipped"]
    (tmp_path / "shots" / "3.png").unlink()
    assert [status(30), status(30)] == ["done", "skipped"]
    (refused,) = encode_folder([tmp_path / "shots"], None, BlockTokenizer, frames=True, skip_existing=True)
    assert "from other pictures: 3 at 30 fps, not 3 at 25 fps" in str(refused.error)
    picture = tmp_path / "shots" / "1.png"
    os.utime(picture, (4e9, 4e9))
    how = {"frames": True, "rate": Fraction(30), "skip_existing": True}
    (refused,) = encode_folder([tmp_path / "shots"], None, BlockTokenizer, **how)
    assert f"{tmp_path / 'shots'} has changed since" in str(refused.error)


@pytest.mark.parametrize("options", [{}, {"skip_existing": True}])
def test_what_another_program_wrote_meanwhile_is_kept(pictures: Path, options: dict[str, bool]) -> None:
    class Slow(BlockTokenizer):
        """While it encodes a picture, another program encodes them all, and writes rubbish for one."""

        def encode_batch(self, clips: Tensor) -> dict[str, Tensor]:
            for source in pictures.rglob("*.png"):
                job = Job(source, source.with_name(f"{source.name}.npz"))
                written.update({job.output: encode_job(job, BlockTokenizer(), force=True).status})
            (pictures / "b.png.npz").write_bytes(b"of the other")
            return super().encode_batch(clips)

    written: dict[Path, str] = {}
    write_image(pictures / "b.png", np.full((40, 70, 3), 9, np.uint8), force=True)
    results = list(encode_folder([pictures], None, Slow, **options))
    assert [(result.source.name, result.status) for result in results] == [
        ("a.png", "skipped"),
        ("b.png", "failed"),
        ("c.png", "skipped"),
    ]
    assert set(written.values()) == {"done"} and len(written) == 3
    assert "force=True" in str(results[1].error)
    assert (pictures / "b.png.npz").read_bytes() == b"of the other"
    assert not [path for path in pictures.iterdir() if path.name.startswith(".")]


def test_what_another_program_is_making_comes_last_and_is_left_to_it(pictures: Path) -> None:
    (pictures / "b.png").unlink()
    with claimed(pictures / "a.png.npz") as mine:
        assert mine
        results = list(encode_folder([pictures], None, BlockTokenizer))
    assert [(result.source.name, result.status, result.busy) for result in results] == [
        ("c.png", "done", False),
        ("a.png", "skipped", True),
    ]
    assert [result.status for result in encoded_by(pictures, skip_existing=True)] == ["skipped", "done"]


def test_what_was_left_by_the_other_is_made_after_all(pictures: Path) -> None:
    (pictures / "b.png").unlink()
    other = claimed(pictures / "a.png.npz")
    assert other.__enter__()
    results = encode_folder([pictures], None, BlockTokenizer)
    first = next(results)
    other.__exit__(None, None, None)  # killed
    assert [first.source.name, *(result.source.name for result in results)] == ["c.png", "a.png"]
    assert read_tokens(pictures / "a.png.npz").meta.source == "a.png"


# Encodes a folder of pictures with a tokenizer that needs a moment for each.
PROGRAM = """
import sys, time
from pathlib import Path
from block_tokenizer import BlockTokenizer
from sweettok_cli.pipeline.folder import encode_folder

class Slow(BlockTokenizer):
    def encode_batch(self, clips):
        time.sleep(0.02)
        return super().encode_batch(clips)

print("ready", flush=True)
sys.stdin.readline()
for result in encode_folder([Path(sys.argv[1])], Path(sys.argv[2]), Slow):
    print(result.status, result.source.name, flush=True)
"""


def test_two_programs_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    names = [f"{number:02}.png" for number in range(30)]
    for name in names:
        write_image(tmp_path / "in" / name, np.full((16, 16, 3), int(name[:2]), np.uint8))
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(tmp_path / "out")]
    place = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    both = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": place},
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    lines = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        lines += process.communicate(timeout=600)[0].splitlines()
        assert process.returncode == 0
    done = sorted(line.split()[1] for line in lines if line.startswith("done"))
    assert done == names  # each once
    assert {line.split()[0] for line in lines} <= {"done", "skipped"} and len(lines) == 60
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{name}.npz" for name in names]


def test_a_link_that_leads_nowhere_is_not_replaced(pictures: Path) -> None:
    link = pictures / "a.png.npz"
    link.symlink_to(pictures / "gone")
    assert sorted(result.status for result in encoded_by(pictures)) == ["done", "refused"]
    assert link.is_symlink()
