from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

from sweettok_cli.pipeline.encode import encode_video
from sweettok_cli.tokens import Tokens, write_tokens
from sweettok_cli.video import VideoReader, probe, write_image

Cli = Callable[..., Any]
CLIP = "intel-iot-devkit+sample-videos__001.mp4"


@pytest.fixture(scope="module")
def encoded(examples: Path) -> Tokens:
    return encode_video(examples / CLIP, BlockTokenizer())


@pytest.fixture
def tokens(tmp_path: Path, encoded: Tokens) -> Path:
    write_tokens(tmp_path / "clip.npz", encoded)
    return tmp_path / "clip.npz"


@pytest.fixture
def image_tokens(tmp_path: Path) -> Path:
    write_image(tmp_path / "photo.png", np.full((40, 70, 3), 99, np.uint8))
    write_tokens(tmp_path / "photo.npz", encode_video(tmp_path / "photo.png", BlockTokenizer()))
    return tmp_path / "photo.npz"


def test_tokens_become_the_video_they_were(cli: Cli, blocks: list[BlockTokenizer], tokens: Path) -> None:
    ran = cli("decode", tokens)
    target = tokens.with_name("clip.decoded.mp4")
    assert (ran.code, ran.out) == (0, f"{target}\n")
    info = probe(target)
    assert (info.width, info.height, info.frames, info.rate) == (454, 256, 20, Fraction(10))


def test_an_image_becomes_an_image(cli: Cli, blocks: list[BlockTokenizer], image_tokens: Path) -> None:
    assert cli("decode", image_tokens).code == 0
    with VideoReader(image_tokens.with_name("photo.decoded.png")) as reader:
        (frame,) = reader
    assert frame.rgb.shape == (40, 70, 3)
    assert (frame.rgb == 99).all()
    ran = cli("decode", image_tokens, "-o", "photo.mp4")
    assert ran.code == 1
    assert "name it .png" in ran.err


def test_json_and_folder(cli: Cli, blocks: list[BlockTokenizer], tokens: Path) -> None:
    (tokens.parent / "out").mkdir()
    ran = cli("decode", tokens, "-o", tokens.parent / "out", "--json", "-q", "--crf", "0")
    record = json.loads(ran.out)
    assert ran.err == ""
    assert record["output"] == str(tokens.parent / "out" / "clip.decoded.mp4")
    assert (record["frames"], record["rate"]) == (20, "10")


def test_nothing_is_overwritten_unasked(cli: Cli, blocks: list[BlockTokenizer], tokens: Path) -> None:
    target = tokens.with_name("clip.decoded.mp4")
    target.write_text("mine")
    ran = cli("decode", tokens)
    assert ran.code == 1
    assert "--force" in ran.err
    assert blocks == []
    assert target.read_text() == "mine"
    assert cli("decode", tokens, "--force").code == 0
    assert probe(target).frames == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "clip.gif"], "name it .mp4"),
        (["-o", "no/such/folder/clip.mp4"], "does not exist"),
        (["--audio-from", "none.mp4"], "none.mp4 does not exist"),
        (["--model", "unheard-of"], "no known model"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, blocks: list[BlockTokenizer], tokens: Path, arguments: list[str], said: str
) -> None:
    ran = cli("decode", tokens, *arguments)
    assert ran.code == 1
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_sound_that_is_not_there_is_said(
    cli: Cli, blocks: list[BlockTokenizer], tokens: Path, examples: Path
) -> None:
    ran = cli("decode", tokens, "--audio-from", examples / CLIP, "--quiet")
    assert ran.code == 0
    assert ran.err == f"warning: {examples / CLIP} has no sound; the video is written without.\n"


def test_tokens_of_other_weights_are_refused(
    cli: Cli, blocks: list[BlockTokenizer], examples: Path, tmp_path: Path
) -> None:
    other = encode_video(examples / CLIP, BlockTokenizer(weights_sha256="0" * 64))
    write_tokens(tmp_path / "other.npz", other)
    ran = cli("decode", tmp_path / "other.npz")
    assert ran.code == 1
    assert "other.npz" in ran.err
    assert "000000000000" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["other.npz"]


def test_a_video_is_no_token_file(cli: Cli, blocks: list[BlockTokenizer], examples: Path) -> None:
    ran = cli("decode", examples / CLIP)
    assert ran.code == 1
    assert "is not a token file" in ran.err


BLOCKS = """
import sys, types
sys.path.insert(0, {tests!r})
from block_tokenizer import BlockTokenizer
module = types.ModuleType("sweettok_cli.zoo.load")
module.load_tokenizer = lambda *arguments, **options: BlockTokenizer(1)
sys.modules["sweettok_cli.zoo.load"] = module
{prelude}
from sweettok_cli.cli.app import main
sys.argv = ["sweettok", *{arguments!r}]
main()
"""


def start(prelude: str, *arguments: object) -> subprocess.Popen[str]:
    tests = str(Path(__file__).resolve().parent.parent)
    code = BLOCKS.format(tests=tests, prelude=prelude, arguments=[str(argument) for argument in arguments])
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_a_full_disk_leaves_nothing_half_written(tokens: Path) -> None:
    # A limit on the size of files fails as a full disk does: in the middle of writing.
    prelude = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))"
    )
    for arguments in (
        ["decode", tokens],
        ["encode", *sorted(tokens.parent.glob("*.mp4")), tokens.parent / "c.mp4"],
    ):
        if arguments[0] == "encode":
            shutil.copy(Path(__file__).parent.parent.parent / "examples" / CLIP, tokens.parent / "c.mp4")
        before = sorted(path.name for path in tokens.parent.iterdir())
        running = start(prelude, *arguments)
        _, err = running.communicate(timeout=120)
        assert running.returncode == 1, err
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        assert sorted(path.name for path in tokens.parent.iterdir()) == before


def test_an_interrupt_leaves_nothing_half_written(tokens: Path) -> None:
    prelude = (
        "import time\n"
        "decode = BlockTokenizer.decode_clips\n"
        "def slow(self, *arguments):\n"
        "    print('decoding', flush=True)\n"
        "    time.sleep(1)\n"
        "    return decode(self, *arguments)\n"
        "BlockTokenizer.decode_clips = slow\n"
    )
    running = start(prelude, "decode", tokens)
    assert running.stdout is not None
    assert running.stdout.readline() == "decoding\n"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert [path.name for path in tokens.parent.iterdir()] == ["clip.npz"]


def test_the_shipped_model_decodes_what_it_encoded(process: Cli, examples: Path, tmp_path: Path) -> None:
    process("encode", examples / CLIP, "-o", "clip.npz", check_code=0)
    ran = process("decode", "clip.npz", "--audio-from", examples / CLIP, check_code=0)
    assert ran.out == "clip.decoded.mp4\n"
    with VideoReader(examples / CLIP) as before, VideoReader(tmp_path / "clip.decoded.mp4") as after:
        assert after.info.rate == before.info.rate
        source = np.stack([frame.rgb for frame in before]).astype(float)
        decoded = np.stack([frame.rgb for frame in after]).astype(float)
    assert decoded.shape == source.shape
    # Far below what the weights reach, far above what anything but this clip would.
    assert -10 * np.log10(((source - decoded) ** 2).mean() / 255**2) > 18


def test_bare_pixels(cli: Cli, blocks: list[BlockTokenizer], tokens: Path, image_tokens: Path) -> None:
    assert cli("decode", tokens, "-o", tokens.with_name("clip.npy")).code == 0
    video = np.load(tokens.with_name("clip.npy"))
    assert (video.dtype, video.shape) == (np.uint8, (20, 256, 454, 3))
    assert cli("decode", image_tokens, "-o", tokens.with_name("photo.npy")).code == 0
    assert (np.load(tokens.with_name("photo.npy")) == 99).all()
    ran = cli("decode", tokens, "-o", tokens.with_name("b.npy"), "--audio-from", CLIP)
    assert ran.code == 1 and "holds pixels and no sound" in ran.err
