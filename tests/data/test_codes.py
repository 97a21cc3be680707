"""Codes that are packed beside whole samples come with their batches, or it is said why they cannot."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.loader import prefetched
from sweettok_cli.data.pack import Plan, pack
from sweettok_cli.data.pieces import Packing
from sweettok_cli.data.sampler import Sampler, Sampling
from sweettok_cli.runtime import ignore_progress
from sweettok_cli.video.reader import read_clip


def blocks(sample: np.ndarray) -> np.ndarray:
    """The mean grey of blocks of 16 pixels, frame by frame: codes of a kind."""
    t, h, w, _ = sample.shape
    return sample.mean(-1).reshape(t, h // 16, 16, w // 16, 16).mean((2, 4)).astype(np.int64)


@pytest.fixture
def samples(clips: Path, tmp_path: Path) -> Path:
    """Samples of 5 frames of 32x32, with codes of the teacher "ours"."""
    packing = Packing(sample=(32, 5), teacher="ours")
    plan = Plan([clips], tmp_path / "samples", packing, workers=2, encode=blocks)
    record = pack(plan, lambda *_: nullcontext(ignore_progress), lambda _: None)
    # 24 frames make 4 samples, 30 make 6, 9 make one: what is left over is left out.
    assert record["pieces"] == 3 * 4 + 2 * 6 + 1
    return tmp_path / "samples"


@pytest.fixture
def sampling() -> Sampling:
    return Sampling([[32.0, 4.0, 1.0]], crops_per_clip=1, frames=5)


def test_samples_are_the_middle_that_training_would_cut(clips: Path, tmp_path: Path) -> None:
    source = clips / "inner" / "loose1.mp4"
    plan = Plan([source], tmp_path / "s", Packing(codec="lossless", sample=(32, 5)))
    pack(plan, lambda *_: nullcontext(ignore_progress), lambda _: None)
    found = sorted(find_entries([tmp_path / "s"]), key=lambda entry: entry.name)
    whole = Sampling([[32.0, 1.0, 1.0]], crops_per_clip=1, frames=24, resize=(1.0, 1.0), centre=True)
    wanted = Sampler(find_entries([source]), whole).batch(0).frames[0]
    made = np.concatenate([read_clip(entry.source(), 0, 9) for entry in found])
    assert made.shape == (20, 32, 32, 3)
    # Scaled by another part of libav: alike, and not the same.
    assert np.abs(made.astype(float) - wanted[:20]).mean() < 3


@pytest.mark.parametrize("loader", ["threads", "processes"])
def test_codes_are_those_of_their_samples(samples: Path, sampling: Sampling, loader: str) -> None:
    sampler = Sampler(find_entries([samples]), sampling)
    assert sampler.batch(0).codes is None
    assert sampler.use_codes("ours") is None
    with prefetched(sampler, 0, 1, 1, loader) as batches:
        for batch, _ in islice(batches, 3):
            assert batch.codes is not None and batch.codes.shape == (4, 5, 2, 2)
            assert all(np.array_equal(c, blocks(f)) for c, f in zip(batch.codes, batch.frames, strict=True))


def test_single_frames_have_none(samples: Path, sampling: Sampling) -> None:
    sampler = Sampler(find_entries([samples]), dataclasses.replace(sampling, pictures=1.0))
    assert sampler.use_codes("ours") is None and sampler.batch(0).codes is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"flip": True}, "flip and reverse change samples"),
        ({"reverse": True}, "flip and reverse change samples"),
        ({"crop": [[16.0, 4.0, 1.0]]}, "samples of crop = [16] are not those"),
        ({"crop": [[32.0, 4.0, 1.0], [16.0, 4.0, 1.0]]}, "samples of crop = [16, 32] are not those"),
        ({"frames": 3}, "samples of frames = 3 are not those"),
        ({"synthetic": 0.1}, "drawn samples have none"),
        ({"fps": 5.0}, "fps leaves out frames"),
    ],
)
def test_what_keeps_codes_from_being_used_is_said(
    samples: Path, sampling: Sampling, changes: dict[str, Any], why: str
) -> None:
    sampler = Sampler(find_entries([samples]), dataclasses.replace(sampling, **changes))
    said = sampler.use_codes("ours")
    assert said is not None and said.startswith(why)
    assert sampler.batch(0).codes is None


def test_codes_of_another_teacher_and_of_some_clips_are_not_used(
    samples: Path, clips: Path, sampling: Sampling
) -> None:
    assert (
        Sampler(find_entries([samples]), sampling).use_codes("other") == "they are those of another teacher"
    )
    mixed = Sampler(find_entries([samples, clips]), sampling)
    assert mixed.use_codes("ours") == "some clips have none"
    assert Sampler(find_entries([clips]), sampling).use_codes("ours") is None


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x02\x00", b"5"])
def test_damaged_codes_are_an_unreadable_clip(samples: Path, sampling: Sampling, damage: bytes) -> None:
    entries = find_entries([samples])
    hurt = entries[0]
    assert hurt.codes is not None
    shard = bytearray(hurt.path.read_bytes())
    start = hurt.codes.offset
    if damage == b"5":  # of a shape
        start = shard.index(b"(5, 2, 2)", start) + 1
        damage = b"9"
    shard[start : start + 8] = damage + bytes(shard[start + len(damage) : start + 8]) if damage else bytes(8)
    hurt.path.write_bytes(shard)
    sampler = Sampler(entries, sampling)
    sampler.use_codes("ours")
    met = [sampler.batch(number) for number in range(7)]
    assert hurt.name not in {name for batch in met for name in batch.clips}
    assert "has damaged codes" in sampler.unreadable[hurt.name]
