"""Clips of several videos in one batch: what they become is what they become alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from block_tokenizer import BlockTokenizer
from torch import Tensor

from sweettok_cli.models.common.batcher import Arrival, Batcher, Stopped
from sweettok_cli.models.common.budget import USUAL, Budget
from sweettok_cli.models.common.room import Room, clips_in
from sweettok_cli.models.common.streams import WaitingClips
from sweettok_cli.models.common.tokenizer import Tokenizer
from sweettok_cli.pipeline.shared_model import Filling
from sweettok_cli.tokens.meta import Tokens
from sweettok_cli.video.fit import Fit
from sweettok_cli.zoo.load import load

#: Source sizes in pixels that are padded to two sizes, and frames of videos of them.
SIZES = ((32, 32), (30, 20), (16, 48), (32, 17), (9, 40))
LENGTHS = (1, 17, 18, 40, 60, 5, 70)


def clips(grey: int, count: int = 1, width: int = 32, height: int = 32) -> WaitingClips:
    frame = np.full((height, width, 3), grey, np.uint8)
    return WaitingClips([[frame] * 17] * count, [Fit.to_multiple(width, height, 16)] * count)


def videos(seed: int = 0) -> list[np.ndarray]:
    luck = np.random.default_rng(seed)
    return [
        luck.integers(0, 256, (length, height, width, 3), dtype=np.uint8)
        for length in LENGTHS
        for width, height in SIZES
    ]


def together(
    tokenizer: Tokenizer, batcher: Batcher, given: list[np.ndarray], threads: int, budget: Budget = USUAL
) -> list[Tokens]:
    seat = tokenizer.through(batcher.encode, 2, threads)
    batcher.expect(threads)
    try:
        with ThreadPoolExecutor(threads) as lanes:
            return list(lanes.map(partial(seat.encode, budget=budget), given))
    finally:
        batcher.stop()


def test_videos_of_many_sizes_are_encoded_as_alone() -> None:
    tokenizer, given = BlockTokenizer(), videos()
    alone = [tokenizer.encode(video).arrays for video in given]
    tokenizer.batches.clear()
    batcher = Batcher(tokenizer.encode_waiting, lambda shape: 6)
    for tokens, arrays in zip(together(tokenizer, batcher, given, 8), alone, strict=True):
        assert tokens.arrays.keys() == arrays.keys()
        assert all(np.array_equal(tokens.arrays[name], array) for name, array in arrays.items())
    clips = sum(-(-len(video) // 17) for video in given)
    assert sum(shape[0] for shape in tokenizer.batches) == clips
    assert max(shape[0] for shape in tokenizer.batches) == 6 and len(tokenizer.batches) < clips / 2


def test_networks_give_the_same(families: dict[str, Path]) -> None:
    luck, tried = np.random.default_rng(1), 0
    for name, folder in families.items():
        tokenizer = load(str(folder), "cpu")
        options = {"budget": Budget(fixed=True), "batch_clips": 4}
        if Filling.of(tokenizer.spec, options, "cpu") is None:
            continue
        tried += 1
        given = [luck.integers(0, 256, (length, 64, 48, 3), dtype=np.uint8) for length in (17, 20, 50, 3, 34)]
        budget = Budget(fixed=bool(tokenizer.spec.levels))
        alone = [tokenizer.encode(video, budget=budget).arrays for video in given]
        batcher = Batcher(tokenizer.encode_waiting, lambda shape: 4)
        for tokens, arrays in zip(together(tokenizer, batcher, given, 4, budget), alone, strict=True):
            assert all(np.array_equal(tokens.arrays[key], array) for key, array in arrays.items()), name
    assert tried > 3


def test_a_batch_goes_when_all_who_are_expected_wait() -> None:
    tokenizer = BlockTokenizer()
    batcher = Batcher(tokenizer.encode_waiting, lambda shape: 8)
    batcher.expect(3)
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(batcher.encode, clips(grey)) for grey in (10, 20, 30)]
        found = [int(each.result()["spatial"][0, 0, 0]) for each in asked]
    assert found == [10, 20, 30] and [shape[0] for shape in tokenizer.batches] == [3]
    batcher.expect(-2)
    assert int(batcher.encode(clips(40))["spatial"][0, 0, 0]) == 40  # at once: nobody else may come
    batcher.expect(5)
    assert int(batcher.encode(clips(50))["spatial"][0, 0, 0]) == 50  # nobody came for a moment
    batcher.stop()


def test_what_one_video_does_to_a_model_is_not_the_others_fault() -> None:
    tokenizer = BlockTokenizer()

    def encode(given: WaitingClips) -> dict[str, Tensor]:
        if any(int(clip[0][0, 0, 0]) == 99 for clip in given.clips):
            raise ValueError("no such picture")
        return tokenizer.encode_waiting(given)

    batcher = Batcher(encode, lambda shape: 4)
    batcher.expect(3)
    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(batcher.encode, clips(grey)) for grey in (1, 99, 3)]
        with pytest.raises(ValueError, match="no such picture"):
            asked[1].result()
        assert [int(asked[at].result()["spatial"][0, 0, 0]) for at in (0, 2)] == [1, 3]
    batcher.stop()


def test_a_batch_holds_no_more_than_it_may() -> None:
    tokenizer = BlockTokenizer()
    batcher = Batcher(tokenizer.encode_waiting, lambda shape: 4 if shape == (17, 32, 32) else 1)
    batcher.expect(5)
    given = [clips(1, 3), clips(2, 3), clips(3, 1), clips(4, 1, 16, 16), clips(5, 6)]
    with ThreadPoolExecutor(5) as threads:
        found = list(threads.map(batcher.encode, given))
    assert [len(each["spatial"]) for each in found] == [3, 3, 1, 1, 6]
    assert [int(each["spatial"][-1, 0, 0]) for each in found] == [1, 2, 3, 4, 5]
    assert max(len_ for len_, *_ in tokenizer.batches) == 6  # of one video, which sent so many together
    assert all(shape[0] <= 4 or shape[0] == 6 for shape in tokenizer.batches)
    batcher.stop()


def test_who_waits_is_stopped_by_what_is_no_exception() -> None:
    gate, at_work = threading.Event(), threading.Event()

    def encode(given: WaitingClips) -> dict[str, Tensor]:
        at_work.set()
        assert gate.wait(600)
        return {"spatial": torch.zeros(len(given.clips), 1, 3)}

    batcher = Batcher(encode, lambda shape: 1)
    batcher.expect(2)
    with ThreadPoolExecutor(3) as threads:
        one = threads.submit(batcher.encode, clips(1))
        assert at_work.wait(600)
        two = threads.submit(batcher.encode, clips(2))
        end = threads.submit(batcher.stop)
        with pytest.raises(Stopped):
            two.result()
        gate.set()
        end.result()
        assert len(one.result()["spatial"]) == 1
    with pytest.raises(Stopped):
        batcher.encode(clips(3))
    assert not issubclass(Stopped, Exception)


def test_what_cannot_be_measured_ends_it_for_all() -> None:
    def most(shape: tuple[int, ...]) -> int:
        raise RuntimeError("the device is gone")

    batcher = Batcher(BlockTokenizer().encode_waiting, most)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the device is gone"):
            batcher.encode(clips(1))
    batcher.stop()


def test_room_is_what_is_left_beside_the_first_clip() -> None:
    assert clips_in(1000, one=200, two=300) == 9  # 100 for the network, 100 a clip
    assert clips_in(100, one=200, two=300) == 1
    assert clips_in(1 << 50, one=200, two=300) == 64
    assert clips_in(1000, one=200, two=200) == 64  # too small to be seen


@pytest.mark.gpu
def test_room_holds_what_it_says(model_folder: Path) -> None:
    tokenizer = load(str(model_folder), "cuda", "bfloat16")
    most = Room(tokenizer.encode_waiting, tokenizer.device)((17, 256, 256))
    arrival = Arrival.of(tokenizer.encode_waiting(clips(1, most, 256, 256)))
    assert most > 1 and {len(each) for each in arrival.wait().values()} == {most}
