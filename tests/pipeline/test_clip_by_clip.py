"""Live video: the tokens of each clip as soon as its frames are there, the same as of a file."""

from __future__ import annotations

import io
import os
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from block_tokenizer import BlockTokenizer
from ragged_tokenizer import RaggedTokenizer
from running_tokenizer import RunningTokenizer
from small_levels import levelled
from small_network import word_prior
from video import torture
from video.test_pipe import MADE

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.sweettok.folder import save_model_folder
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.pipeline.stream import Clip, stream_video
from sweettok_cli.tokens import token_cost
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.selection import Selection
from sweettok_cli.zoo.load import load


def streamed(source: Any, tokenizer: Any, **options: Any) -> tuple[list[Clip], Any]:
    clips: list[Clip] = []
    return clips, stream_video(source, tokenizer, clips.append, **options)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return MADE["a.mkv"](tmp_path / "a.mkv")


@pytest.mark.parametrize("kind", [BlockTokenizer, RaggedTokenizer, RunningTokenizer])
@pytest.mark.parametrize("piped", [False, True])
def test_clips_are_those_of_the_token_file(long: Path, kind: Any, piped: bool) -> None:
    expected = encode_video(long, kind())
    source = Pipe(io.BytesIO(long.read_bytes()), "stdin") if piped else long
    clips, tokens = streamed(source, kind(), keep=True)
    assert tokens.meta.frames == 60
    axis = 1 if kind is RunningTokenizer else 0
    for name, array in expected.arrays.items():
        assert np.array_equal(np.concatenate([clip.arrays[name] for clip in clips], axis), array)
        assert np.array_equal(tokens.arrays[name], array)
    assert clips[0].start == 0 and clips[-1].end == 60
    assert [a.end for a in clips[:-1]] == [b.start for b in clips[1:]]
    assert [(clip.begins, clip.ends) for clip in clips] == [
        (Fraction(clip.start, 25), Fraction(clip.end, 25)) for clip in clips
    ]
    assert [clip.number for clip in clips] == list(range(len(clips)))
    assert sum(clip.tokens for clip in clips) == token_cost(expected.meta).tokens
    assert all(clip.latency > 0 for clip in clips)


def test_what_is_not_asked_for_is_not_kept(long: Path) -> None:
    clips, tokens = streamed(long, BlockTokenizer(), overlap=5, selection=Selection(end=2, fps=20))
    assert tokens is None
    assert [(clip.start, clip.end) for clip in clips] == [(0, 17), (17, 29), (29, 40)]


def test_with_levels_no_clip_waits_for_another(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model_folder(tmp_path / "model", levelled(), word_prior())
    tokenizer = load(str(tmp_path / "model"))
    path = torture.make(tmp_path / "a.mkv", frames=40)
    clips, tokens = streamed(path, tokenizer, keep=True)
    assert [(clip.start, clip.end) for clip in clips] == [(0, 17), (17, 34), (34, 40)]
    tokens.check()
    assert tokens.meta.levels and tokens.meta.clips == 3
    # The first clip, alone, is what it is as a video of its own.
    (alone,), _ = streamed(path, tokenizer, selection=Selection(max_frames=17))
    assert all(np.array_equal(array, clips[0].arrays[name]) for name, array in alone.arrays.items())


def test_the_first_clip_is_there_before_the_last_frame(tmp_path: Path) -> None:
    data = MADE["a.y4m"](tmp_path / "a.y4m").read_bytes()
    taken, given = os.pipe()
    first = threading.Event()

    def write() -> None:
        os.write(given, data[: len(data) // 2])
        assert first.wait(60)
        os.write(given, data[len(data) // 2 :])
        os.close(given)

    writer = threading.Thread(target=write)
    writer.start()
    seen = []

    def on_clip(clip: Clip) -> None:
        seen.append(clip)
        first.set()

    with open(taken, "rb", buffering=0) as stream:
        stream_video(Pipe(stream, "stdin"), BlockTokenizer(), on_clip)
    writer.join()
    assert [clip.end for clip in seen] == [17, 34, 51, 60]


def test_an_error_does_not_wait_for_the_pipe(tmp_path: Path) -> None:
    class Broken(BlockTokenizer):
        def encode_batch(self, clips: Any) -> Any:
            raise SweettokError("the device is lost.")

    data = MADE["a.y4m"](tmp_path / "a.y4m").read_bytes()
    taken, given = os.pipe()
    writer = threading.Thread(target=os.write, args=(given, data[: len(data) // 2]))  # and nothing more, ever
    writer.start()
    with open(taken, "rb", buffering=0) as stream, pytest.raises(SweettokError, match="device is lost"):
        stream_video(Pipe(stream, "stdin"), Broken(), lambda clip: None)
    writer.join()
    os.close(given)
