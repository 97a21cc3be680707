"""Batches are a function of seed, number and rank, and bad clips do not stop a run until they are many."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_run import write_clip

from sweettok_cli.data import stretch as data
from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.entry import Entry, Facts
from sweettok_cli.data.loader import prefetched
from sweettok_cli.data.sampler import Sampler, Sampling, hold_out
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.video.reader import read_clip
from sweettok_cli.video.writer import VideoWriter


@pytest.fixture
def tiny() -> Sampling:
    """Two sizes of batches on 64-pixel crops."""
    crop = [[64.0, 2.0, 1.0], [64.0, 4.0, 0.5]]
    return Sampling(crop, crops_per_clip=2, flip=True)


@pytest.fixture
def entries(clips: Path) -> list[Entry]:
    return find_entries([clips])


def test_index_finds_files_and_members_in_order(clips: Path, entries: list[Entry]) -> None:
    assert [entry.name for entry in entries] == [
        *(f"inner/loose{i}.mp4" for i in range(3)),
        *(f"packed{i}.mp4" for i in range(3)),
    ]
    assert [entry.declared() for entry in entries] == [Facts(n, 25.0) for n in (24, 24, 24, 30, 30, 9)]
    alone = find_entries([clips / "shard.tar", clips / "inner" / "loose1.mp4"])
    assert [entry.name for entry in alone] == ["packed0.mp4", "packed1.mp4", "packed2.mp4", "loose1.mp4"]


def test_index_refuses_what_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="No clips found"):
        find_entries([tmp_path])
    with pytest.raises(SweettokError, match="do not exist"):
        find_entries([tmp_path / "absent"])
    (tmp_path / "text.tar").write_text("no archive " * 100)
    with pytest.raises(SweettokError, match=r"text\.tar is not a readable tar"):
        find_entries([tmp_path])


def test_batch_depends_on_nothing_but_its_number(entries: list[Entry], tiny: Sampling) -> None:
    one, two = Sampler(entries, tiny), Sampler(entries, tiny)
    forward = [one.batch(n) for n in range(6)]
    backward = [two.batch(n) for n in reversed(range(6))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert a.clips == b.clips and np.array_equal(a.frames, b.frames)
        assert a.frames.dtype == np.uint8 and a.frames.shape[1:] == (17, 64, 64, 3)
    assert {len(batch.frames) for batch in forward} == {2, 4}
    with prefetched(Sampler(entries, tiny), 2, workers=3, prefetch=2) as batches:
        ahead = [batch for (batch, _), _ in zip(batches, range(3), strict=False)]
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(ahead, forward[2:5], strict=True))


def test_a_share_of_the_batches_is_pictures(tiny: Sampling, tmp_path: Path) -> None:
    """Which ones depends on seed and number alone, on all ranks together, and nothing else changes."""
    write_clip(tmp_path / "clip.mp4", 0, frames=4, width=16, height=16)
    entries = find_entries([tmp_path])
    settings = dataclasses.replace(tiny, pictures=0.3, frames=3, crop=[[16.0, 1.0, 1.0]], crops_per_clip=1)

    def alone(settings: Sampling, rank: int = 0) -> list[bool]:
        sampler = Sampler(entries, settings, rank, 2)
        return [sampler.batch(n).frames.shape[1] == 1 for n in range(150)]

    drawn = alone(settings)
    assert 0.2 < sum(drawn) / len(drawn) < 0.4
    assert alone(settings) == drawn == alone(settings, rank=1)
    assert alone(dataclasses.replace(settings, seed=1)) != drawn
    assert not any(alone(dataclasses.replace(settings, pictures=0.0)))
    assert all(alone(dataclasses.replace(settings, pictures=1.0)))


def test_pictures_are_the_first_frames_of_their_samples(entries: list[Entry], tiny: Sampling) -> None:
    clips, pictures = (Sampler(entries, dataclasses.replace(tiny, pictures=p)).batch(0) for p in (0.0, 1.0))
    assert clips.clips == pictures.clips
    assert np.array_equal(pictures.frames, clips.frames[:, :1])


def test_ranks_and_seeds_draw_differently(entries: list[Entry], tiny: Sampling) -> None:
    first, second = (Sampler(entries, tiny, rank, 2).batch(0) for rank in (0, 1))
    assert first.frames.shape == second.frames.shape
    assert not set(first.clips) & set(second.clips)
    other = Sampler(entries, dataclasses.replace(tiny, seed=1)).batch(0)
    assert not np.array_equal(other.frames[:2], Sampler(entries, tiny).batch(0).frames[:2])


@pytest.mark.parametrize("crops_per_clip", [1, 2])
def test_a_step_is_the_same_however_it_is_shared_out(
    entries: list[Entry], tiny: Sampling, crops_per_clip: int
) -> None:
    """Among processes, and among batches that are added up: samples are drawn by their place in the step."""
    settings = dataclasses.replace(
        tiny, crops_per_clip=crops_per_clip, synthetic=0.3, pictures=0.4, frames=3, reverse=True
    )

    def steps(ranks: int, parts: int, *samples: float) -> list[np.ndarray]:
        crop = [[64.0, samples[0], 1.0], [48.0, samples[1], 0.5]]
        shared = dataclasses.replace(settings, crop=crop, accumulate=parts)
        samplers = [Sampler(entries, shared, rank, ranks) for rank in range(ranks)]
        return [
            np.concatenate([s.batch(n * parts + part).frames for part in range(parts) for s in samplers])
            for n in range(6)
        ]

    whole = steps(1, 1, 12, 6)
    assert {batch.shape[2] for batch in whole} == {64, 48} and {batch.shape[1] for batch in whole} == {1, 3}
    for shared in (steps(2, 1, 6, 3), steps(1, 2, 6, 3), steps(2, 3, 2, 1)):
        assert all(np.array_equal(a, b) for a, b in zip(whole, shared, strict=True))


def test_an_epoch_shows_every_clip_once(entries: list[Entry], tiny: Sampling) -> None:
    settings = dataclasses.replace(tiny, crop=[[64.0, 2.0, 1.0]], crops_per_clip=1)
    seen = [name for n in range(3) for name in Sampler(entries, settings).batch(n).clips]
    assert sorted(seen) == sorted(entry.name for entry in entries)


def test_samples_are_stretches_of_the_clip(clips: Path, tiny: Sampling) -> None:
    entry = find_entries([clips / "inner" / "loose0.mp4"])
    whole = read_clip(clips / "inner" / "loose0.mp4", 0, 24)
    still = dataclasses.replace(tiny, flip=False, crop=[[64.0, 2.0, 1.0]])
    for sample in Sampler(entry, still).batch(0).frames:
        places = [
            (t, y, x)
            for t in range(8)
            for y in range(17)
            for x in range(33)
            if np.array_equal(whole[t, y : y + 64, x : x + 64], sample[0])
        ]
        assert any(np.array_equal(whole[t : t + 17, y : y + 64, x : x + 64], sample) for t, y, x in places)
    mirrored = Sampler(entry, dataclasses.replace(still, flip=True))
    kinds = {
        np.array_equal(mirrored.batch(n).frames, Sampler(entry, still).batch(n).frames) for n in range(4)
    }
    assert kinds == {True, False}


def test_short_clips_repeat_their_last_frame_and_small_ones_are_enlarged(clips: Path, tiny: Sampling) -> None:
    entry = [e for e in find_entries([clips / "shard.tar"]) if e.name == "packed2.mp4"]
    settings = dataclasses.replace(tiny, flip=False, crop=[[128.0, 2.0, 1.0]])
    sample = Sampler(entry, settings).batch(0).frames[0]
    assert sample.shape == (17, 128, 128, 3)
    assert np.array_equal(sample[8:], np.repeat(sample[8:9], 9, axis=0))
    assert not np.array_equal(sample[7], sample[8])
    # 96x80 at 154x128: of the picture's height nothing is cut off, and no edge is repeated.
    small = read_clip(entry[0].source(), 0, 1)[0]
    assert abs(sample[0].mean() - small.mean()) < 12
    assert not np.array_equal(sample[:, 100], sample[:, 127])


def test_a_list_names_the_clips(clips: Path, tmp_path: Path) -> None:
    """As UCF-101 is laid out: ``UCF-101/Class/v.avi`` and ``ucfTrainTestlist/trainlist01.txt``."""
    videos, lists = tmp_path / "UCF-101" / "Class", tmp_path / "ucfTrainTestlist"
    videos.mkdir(parents=True)
    lists.mkdir()
    for name in ("a b.mp4", "c.mp4", "d.mp4"):
        (videos / name).write_bytes(b"x")
    (lists / "train.txt").write_text("Class/a b.mp4 1\nClass/c.mp4\n\n")
    found = find_entries([lists / "train.txt"])
    assert [entry.path for entry in found] == [videos / "a b.mp4", videos / "c.mp4"]
    (lists / "train.txt").write_text("Class/gone.mp4 2\n")
    with pytest.raises(SweettokError, match=r"train\.txt names Class/gone\.mp4, which cannot be found"):
        find_entries([lists / "train.txt"])


def test_unreadable_clips_are_found_before_the_first_step(
    clips: Path, tiny: Sampling, tmp_path: Path
) -> None:
    """Files and members of shards, videos and pictures; what is skipped is named with its reason."""
    shutil.copy(clips / "inner" / "loose0.mp4", tmp_path / "good.mp4")
    Image.new("RGB", (70, 70)).save(tmp_path / "good.png")
    (tmp_path / "bad.mp4").write_bytes(b"this is no video")
    (tmp_path / "empty.webm").touch()
    shutil.copy(clips / "inner" / "loose0.mp4", tmp_path / "video.png")  # read by what it is
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff this is no picture")
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        shard.add(tmp_path / "bad.mp4", "inside.mp4")
    entries = find_entries([tmp_path])
    done: list[tuple[int, int | None]] = []
    sampler = Sampler(entries, dataclasses.replace(tiny, skip_unreadable=0.7))
    sampler.check(lambda *counts: done.append(counts))
    assert sorted(sampler.unreadable) == ["bad.jpg", "bad.mp4", "empty.webm", "inside.mp4"]
    for why in sampler.unreadable.values():
        assert why.startswith(("cannot be read", "is empty", "is a damaged")) and str(tmp_path) not in why
    assert sampler.describe() == "3 clips"
    assert done[-1] == (7, 7)
    assert set(sampler.batch(0).clips) <= {"good.mp4", "good.png", "video.png"}
    wanted = r"4 of 7 training clips cannot be read \(bad\.jpg: .* and 1 more\).*skip_unreadable=0\.58"
    with pytest.raises(SweettokError, match=wanted):
        Sampler(entries, dataclasses.replace(tiny, skip_unreadable=0.5)).check(ignore_progress)
    Sampler(entries, dataclasses.replace(tiny, skip_unreadable=0.58)).check(ignore_progress)


def test_one_unreadable_clip_never_ends_a_training(clips: Path, tiny: Sampling, tmp_path: Path) -> None:
    """Its header is whole, and its pictures are not."""
    shutil.copy(clips / "inner" / "loose0.mp4", tmp_path / "good.mp4")
    broken = bytearray((clips / "inner" / "loose1.mp4").read_bytes())
    start = broken.index(b"mdat") + 4
    broken[start : start + 20_000] = bytes(min(20_000, len(broken) - start))
    (tmp_path / "bad.mp4").write_bytes(broken)
    settings = dataclasses.replace(tiny, crop=[[64.0, 4.0, 1.0]], skip_unreadable=0.0)
    sampler = Sampler(find_entries([tmp_path]), settings)
    sampler.check(ignore_progress)
    for number in range(3):
        assert set(sampler.batch(number).clips) == {"good.mp4"}
    assert list(sampler.unreadable) == ["bad.mp4"]
    (tmp_path / "good.mp4").write_bytes(b"gone")
    for _ in range(2):  # no thread goes on looking for ever
        with pytest.raises(SweettokError, match="2 of 2 training clips cannot be read"):
            sampler.batch(3)


def test_whatever_a_decoder_raises_is_a_clip_that_is_skipped(
    entries: list[Entry], tiny: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = data.read_clip

    def picky(source: Path, start: int, count: int, **options: float) -> np.ndarray:
        if isinstance(source, Path) and source.name == "loose1.mp4":
            raise AttributeError("no codec context")
        return read(source, start, count, **options)

    monkeypatch.setattr(data, "read_clip", picky)
    sampler = Sampler(entries, tiny)
    named = {name for number in range(6) for name in sampler.batch(number).clips}
    assert sampler.unreadable == {"inner/loose1.mp4": "no codec context"}
    assert "inner/loose1.mp4" not in named and len(named) == 5


def test_a_share_of_the_samples_is_synthetic(entries: list[Entry], tiny: Sampling) -> None:
    """The others stay what they are, on every rank, in any order, and on threads."""
    settings = dataclasses.replace(tiny, crop=[[64.0, 16.0, 1.0]], crops_per_clip=1, synthetic=0.4, frames=3)
    plain = dataclasses.replace(settings, synthetic=0.0)
    drawn = same = 0
    for rank in range(2):
        mixed, filmed = (
            Sampler(entries, settings, rank, 2).batch(1),
            Sampler(entries, plain, rank, 2).batch(1),
        )
        for sample, name, other in zip(mixed.frames, mixed.clips, filmed.frames, strict=True):
            assert sample.shape == (3, 64, 64, 3) and sample.dtype == np.uint8
            drawn += name.startswith("synthetic ")
            same += np.array_equal(sample, other)
        assert np.array_equal(mixed.frames, Sampler(entries, settings, rank, 2).batch(1).frames)
    assert 4 <= drawn <= 22 and same == 32 - drawn
    with prefetched(Sampler(entries, settings), 0, workers=3, prefetch=3) as batches:
        ahead = [batch for (batch, _), _ in zip(batches, range(3), strict=False)]
    for number, batch in enumerate(ahead):
        assert np.array_equal(batch.frames, Sampler(entries, settings).batch(number).frames)
    first = Sampler(entries, settings).first(20)
    assert any(name.startswith("synthetic ") for name in first.clips)
    assert Sampler(entries, settings).describe() == "6 clips and 40% synthetic samples"


def test_crops_of_a_synthetic_place_are_different_clips(entries: list[Entry], tiny: Sampling) -> None:
    settings = dataclasses.replace(tiny, crop=[[64.0, 8.0, 1.0]], crops_per_clip=8, synthetic=1.0, frames=1)
    batch = Sampler(entries, settings).batch(0)
    assert len(batch.clips) == 8 and len({sample.tobytes() for sample in batch.frames}) == 8


def test_clip_shorter_than_declared_starts_at_its_beginning(entries: list[Entry], tiny: Sampling) -> None:
    settings = dataclasses.replace(tiny, crop=[[64.0, 2.0, 1.0]], flip=False)
    sampler = Sampler(entries[:1], settings)
    sampler.facts[0] = Facts(100_000, 25.0)
    assert sampler.batch(0).frames.shape == (2, 17, 64, 64, 3)
    assert not sampler.unreadable


def test_samples_are_taken_at_a_rate(tmp_path: Path, tiny: Sampling) -> None:
    """From anywhere in the clip where it is long enough; a shorter one repeats its last frame."""
    with VideoWriter(tmp_path / "clip.mp4", 16, 16, Fraction(20)) as writer:
        for t in range(60):
            writer.write(np.full((16, 16, 3), 4 * t, np.uint8))
    entries = find_entries([tmp_path])
    settings = dataclasses.replace(tiny, frames=9, crop=[[16.0, 1.0, 1.0]], crops_per_clip=1, fps=5.0)

    def shown(number: int, settings: Sampling) -> np.ndarray:
        return np.rint(Sampler(entries, settings).batch(number).frames[0].mean((1, 2, 3)) / 4)

    starts = set()
    for number in range(12):
        numbers = shown(number, settings)
        assert np.abs(np.diff(numbers) - 4).max() <= 1
        starts.add(numbers[0])
    assert len(starts) > 4 and max(starts) > 20
    numbers = shown(0, dataclasses.replace(settings, fps=2.0))
    assert np.abs(np.diff(numbers)[:5] - 10).max() <= 1 and np.ptp(numbers[5:]) == 0


def test_held_out_clips_are_not_trained_on(entries: list[Entry]) -> None:
    many = [dataclasses.replace(entries[0], name=str(i)) for i in range(40)]
    shown, trained = hold_out(many, 4, seed=0)
    assert len(shown) == 4 and len(trained) == 36 and not {e.name for e in shown} & {e.name for e in trained}
    assert hold_out(entries, 4, seed=0) == (entries[:4], entries)


def test_hidden_files_are_no_clips(tmp_path: Path) -> None:
    """What a Mac adds beside every file, in folders and in shards."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a.mp4", "._a.mp4", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    (folder / ".trash").mkdir()
    (folder / ".trash" / "b.mp4").write_bytes(b"x")
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        for name in ("a.mp4", "._a.mp4", "below/._c.mp4", "./d.mp4"):
            shard.add(folder / "a.mp4", name)
    assert [entry.name for entry in find_entries([folder])] == ["a.mp4"]
    assert [entry.name for entry in find_entries([tmp_path / "shard.tar"])] == ["a.mp4", "./d.mp4"]


def test_frames_are_scaled_down_before_samples_are_cut(tmp_path: Path, tiny: Sampling) -> None:
    """A ramp tells how wide a sample was in the frames, and where it lay."""
    ramp = np.broadcast_to(np.linspace(0, 255, 128)[None, :, None], (96, 128, 3)).astype(np.uint8)
    with VideoWriter(tmp_path / "clip.mp4", 128, 96, Fraction(25), crf=1) as writer:
        for _ in range(3):
            writer.write(np.ascontiguousarray(ramp))
    Image.fromarray(ramp).save(tmp_path / "picture.png")
    settings = dataclasses.replace(tiny, frames=1, crop=[[32.0, 1.0, 1.0]], crops_per_clip=1, flip=False)

    def seen(name: str, **changes: Any) -> list[tuple[float, float]]:
        """Columns of the frame that 40 samples show: how many, and the middle one."""
        sampler = Sampler(find_entries([tmp_path / name]), dataclasses.replace(settings, **changes))
        rows = [sampler.batch(n).frames[0, 0, 16, :, 0].astype(float) * 127 / 255 for n in range(40)]
        return [((row[24] - row[7]) * 32 / 17, row.mean()) for row in rows]

    for name in ("clip.mp4", "picture.png"):
        plain, whole, mixed = (seen(name, resize=resize) for resize in ((), (1.0, 1.0), (1.0, 2.0)))
        assert all(abs(width - 32) < 3 for width, _ in plain)
        assert all(abs(width - 96) < 4 for width, _ in whole) and np.std([m for _, m in whole]) > 3
        widths = [width for width, _ in mixed]
        assert min(widths) < 60 and max(widths) > 80 and all(45 < width < 100 for width in widths)
        middle = seen(name, resize=(1.0, 1.0), centre=True)
        assert all(abs(width - 96) < 4 and abs(mean - 63.5) < 2 for width, mean in middle)
        large = seen(name, resize=(7.0, 9.0))  # nothing is enlarged
        assert all(abs(width - 32) < 3 for width, _ in large)


def test_clips_of_one_name_are_two(tmp_path: Path, tiny: Sampling, clips: Path) -> None:
    """They are counted by place: with all unreadable, nobody looks for another one for ever."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bad.mp4").write_bytes(b"no video")
    sampler = Sampler(find_entries([tmp_path / "a", tmp_path / "b"]), tiny)
    with pytest.raises(SweettokError, match="2 of 2 training clips cannot be read"):
        sampler.batch(0)


def test_clips_are_read_as_often_as_is_expected(entries: list[Entry], tiny: Sampling) -> None:
    crop = [[64.0, 16.0, 0.3], [64.0, 4.0, 0.7]]
    settings = dataclasses.replace(tiny, crop=crop, crops_per_clip=1, synthetic=0.25, frames=1)
    sampler = Sampler(entries, settings)
    read = sum(not name.startswith("synthetic ") for n in range(200) for name in sampler.batch(n).clips)
    assert sampler.passes(200) == pytest.approx(200 * 7.6 * 0.75 / 6)
    assert sampler.passes(200) == pytest.approx(read / 6, rel=0.15)
    shared = Sampler(entries, dataclasses.replace(settings, accumulate=2, crops_per_clip=8), 1, 3)
    assert shared.passes(10) == pytest.approx(10 * (0.3 * 12 + 0.7 * 3) * 0.75 / 6)


def test_a_position_tells_the_epoch_and_the_data(entries: list[Entry], tiny: Sampling) -> None:
    one = Sampler(entries, dataclasses.replace(tiny, accumulate=2), 1, 3)
    assert one.stride == 12  # 4 samples, 2 crops a clip, 6 parts
    found = one.position(10)
    assert (found["batch"], found["epoch"], found["clips"]) == (10, 10.0, 6)
    assert Sampler(entries, tiny).position(3)["digest"] == found["digest"]
    others = [dataclasses.replace(entries[0], end=2.0), *entries[1:]], entries[::-1], entries[:5]
    assert found["digest"] not in {Sampler(other, tiny).position(0)["digest"] for other in others}
