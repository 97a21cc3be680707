"""A part of a video through encode and decode: its tokens say which, its length and sound are the part's."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from video import torture
from video.test_pipe import MADE

from sweettok_cli.pipeline.batch import Result
from sweettok_cli.pipeline.decode import decode_video
from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.pipeline.folder import encode_folder
from sweettok_cli.tokens import read_tokens
from sweettok_cli.video import VideoReader, probe, write_image
from sweettok_cli.video.inputs import Given
from sweettok_cli.video.pipe import Pipe
from sweettok_cli.video.remote import RemoteFile
from sweettok_cli.video.selection import WHOLE, Selection

PART = Selection(start="1.5", end=3, fps=10, short_side=40)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return torture.make(tmp_path / "long.mp4", frames=100, options={"g": "20"})


def test_tokens_of_a_part_say_which(tmp_path: Path, long: Path) -> None:
    tokenizer = BlockTokenizer()
    tokens = encode_video(long, tokenizer, selection=PART)
    meta = tokens.meta
    assert (meta.selection, meta.begins, meta.frames, meta.rate) == (PART, Fraction(3, 2), 15, 10)
    assert (meta.width, meta.height, meta.duration) == (53, 40, Fraction(3, 2))
    assert tokenizer.encode(long, selection=PART).meta == meta
    decode_video(tokens, tokenizer, tmp_path / "back.mp4")
    back = probe(tmp_path / "back.mp4")
    assert (back.frames, back.rate, back.width, back.height) == (15, 10, 53, 40)
    with VideoReader(long, selection=PART) as reader:
        pixels = np.stack([frame.rgb for frame in reader])
    assert np.array_equal(tokenizer.encode(pixels, rate=10).arrays["spatial"], tokens.arrays["spatial"])
    assert encode_video(long, tokenizer, selection=Selection(start="1.49")).meta.begins == Fraction(38, 25)
    with pytest.raises(ValueError, match="take a slice"):
        tokenizer.encode(pixels, selection=PART)


def rising(path: Path, seconds: int) -> Path:
    """A video with a tone that rises from silence, a sixteenth of full scale a second."""
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        voice = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(torture.picture(number), format="rgb24")
            out.mux(pictures.encode(frame))
        out.mux(pictures.encode(None))
        at = np.arange(48000 * seconds) / 48000
        samples = (at * 2048 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)[None]
        for start in range(0, samples.shape[1], 960):
            heard = av.AudioFrame.from_ndarray(samples[:, start : start + 960], format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 48000, start, Fraction(1, 48000)
            out.mux(voice.encode(heard))
    return path


@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_the_sound_is_that_of_the_part(tmp_path: Path, ending: str) -> None:
    source = rising(tmp_path / "rising.mkv", 4)
    tokenizer = BlockTokenizer()
    tokens = encode_video(source, tokenizer, selection=Selection(start="1.48", end="2.5"))
    decode_video(tokens, tokenizer, tmp_path / f"back{ending}", audio_from=source)
    with av.open(str(tmp_path / f"back{ending}")) as container:
        assert container.streams.video[0].codec_context.width == 64
        frames = list(container.decode(container.streams.audio[0]))
    levels = np.concatenate([frame.to_ndarray().mean(0) for frame in frames]).astype(float)
    scale = 1 if frames[0].format.name.startswith("s16") else 32768
    begins = float(frames[0].pts * frames[0].time_base)
    assert begins + len(levels) / 48000 == pytest.approx(1.02, abs=0.05)
    middle = int((0.5 - begins) * 48000)
    # The second of the source that it is of; two channels share the power of one.
    heard = (
        np.sqrt(2 * frames[0].layout.nb_channels * np.square(levels[middle : middle + 4800]).mean())
        * scale
        / 2048
    )
    assert heard == pytest.approx(1.48 + 0.5 + 0.05, abs=0.03)


def encoded(inputs: list[Given], output: Path | None = None, **options: Any) -> list[Result]:
    return list(encode_folder(inputs, output, BlockTokenizer, **options))


def test_another_part_is_another_output(long: Path) -> None:
    def status(selection: Selection, **options: bool) -> str:
        (result,) = encoded([long], selection=selection, skip_existing=True, **options)
        return f"{result.status} {result.error or ''}"

    assert status(WHOLE) == "done " and status(WHOLE) == "skipped "
    assert "is of another part of long.mp4: all of it; pass force=True too" in status(PART)
    assert status(PART, force=True) == "done " and status(PART) == "skipped "
    assert "from 1.5 s to 3 s, 10 frames a second" in status(WHOLE)


def test_numbered_pictures_are_of_a_part_too(tmp_path: Path) -> None:
    (tmp_path / "shots").mkdir()
    for number in range(9):
        write_image(tmp_path / "shots" / f"{number}.png", torture.picture(number))

    def status(fps: int, **chosen: Any) -> str:
        options = {"frames": True, "rate": Fraction(fps), "skip_existing": True, "force": True}
        (result,) = encoded([tmp_path / "shots"], selection=Selection(fps=fps, **chosen), **options)
        return result.status

    assert [status(2), status(2), status(3)] == ["done", "skipped", "done"]
    assert [status(2, end=2), status(2, end=2), status(2, end=3)] == ["done", "skipped", "done"]
    meta = read_tokens(tmp_path / "shots.frames.npz").meta
    assert (meta.frames, meta.rate, meta.selection) == (6, 2, Selection(end=3))


def test_a_picture_has_no_rate(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", torture.picture(4))
    for status in ("done", "skipped"):
        (result,) = encoded(
            [tmp_path / "a.png"], selection=Selection(fps=5, short_side=40), skip_existing=True
        )
        assert result.status == status
    assert read_tokens(tmp_path / "a.png.npz").meta.selection == Selection(short_side=40)


def test_a_folder_elsewhere_keeps_its_structure(tmp_path: Path) -> None:
    for name in ("a.mp4", "sub/b.mp4", "sub/notes.txt"):
        with fsspec.open(f"memory://shelf/{name}", "wb") as stream:
            stream.write(torture.make(tmp_path / "made.mp4").read_bytes())
    shelf = RemoteFile("memory://shelf")
    first, second = encoded([shelf], tmp_path / "out")
    assert first.output == tmp_path / "out" / "a.npz" and second.output == tmp_path / "out" / "sub" / "b.npz"
    assert second.meta is not None and (second.meta.source, second.meta.frames) == ("b.mp4", 12)
    again = encoded([shelf, RemoteFile("memory://shelf/none.mp4")], tmp_path / "out2")
    assert [result.status for result in again] == ["refused", "done", "done"]
    assert (tmp_path / "out2" / "shelf" / "sub" / "b.npz").is_file()
    assert [result.status for result in encoded([shelf], tmp_path / "out", skip_existing=True)] == [
        "skipped"
    ] * 2


def test_what_comes_from_elsewhere_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = MADE["a.mkv"](tmp_path / "made.mkv").read_bytes()
    with fsspec.open("memory://alone/clip.mkv", "wb") as stream:
        stream.write(data)
    pipe = Pipe(io.BytesIO(data), "stdin")
    piped, fetched = encoded([pipe, RemoteFile("memory://alone/clip.mkv")])
    assert (str(piped.output), str(fetched.output)) == ("stdin.npz", "clip.mkv.npz")
    assert piped.meta is not None and fetched.meta is not None
    assert (piped.meta.source, piped.meta.frames) == ("stdin", 60)
    found, expected = read_tokens(tmp_path / "stdin.npz"), read_tokens(tmp_path / "clip.mkv.npz")
    assert all(np.array_equal(array, expected.arrays[name]) for name, array in found.arrays.items())


@pytest.mark.parametrize("data", [b"", b"no video", MADE])
def test_a_pipe_that_fails_leaves_nothing(tmp_path: Path, data: Any) -> None:
    if data is MADE:
        whole = MADE["a.mkv"](tmp_path / "made.mkv").read_bytes()
        (tmp_path / "made.mkv").unlink()
        data = whole[: len(whole) // 2]
    (result,) = encoded([Pipe(io.BytesIO(data), "stdin")], tmp_path / "out.npz")
    assert result.status == "failed" and str(result.error).startswith("stdin ")
    assert not list(tmp_path.iterdir())
