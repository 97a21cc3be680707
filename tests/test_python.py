"""The package as Python sees it: one under two names, what it shows, and a tokenizer in use."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer
from small_run import write_clip

import sweettok
from sweettok_cli.errors import SweettokError
from sweettok_cli.pipeline.encode import encode_video


def in_new_process(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_both_names_are_the_same_package() -> None:
    import sweettok_cli.tokens.meta
    import sweettok_cli.video.reader
    from sweettok.tokens import meta
    from sweettok.video.reader import VideoReader

    assert sweettok is sweettok_cli and meta is sweettok_cli.tokens.meta
    assert VideoReader is sweettok_cli.video.reader.VideoReader
    assert sweettok.video is sweettok_cli.video is sys.modules["sweettok.video"]
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'sweettok\.nothing'"):
        importlib.import_module("sweettok.nothing")


def test_a_module_is_one_whichever_name_comes_first() -> None:
    first = "import sweettok.video.fit as a, sweettok_cli.video.fit as b, sweettok; print(a is b is "
    assert in_new_process(first + "sweettok.video.fit)") == "True\n"
    assert in_new_process("import sweettok; print(sweettok.words.__name__)") == "sweettok_cli.words\n"


def test_importing_it_is_cheap_and_shows_what_there_is() -> None:
    heavy = "{'torch', 'numpy', 'av', 'PIL'} & {name.split('.')[0] for name in sys.modules}"
    assert in_new_process(f"import sweettok, sys; dir(sweettok); print({heavy})") == "set()\n"
    shown = dir(sweettok)
    assert {*sweettok.__all__, "video", "tokens", "zoo", "errors"} <= {*shown}
    for name in shown:
        assert getattr(sweettok, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        sweettok.lod  # noqa: B018


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "sweettok", "-V"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"sweettok {sweettok.__version__}\n")


def test_paths_arrays_and_files_of_tokens_go_through(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", 3, frames=20, width=64, height=64)
    tokenizer = BlockTokenizer()
    tokens = tokenizer.encode(str(tmp_path / "clip.mp4"))
    expected = encode_video(tmp_path / "clip.mp4", tokenizer)
    assert tokens.meta == expected.meta
    for name, array in expected.arrays.items():
        assert np.array_equal(tokens.arrays[name], array)
    sweettok.write_tokens(str(tmp_path / "clip.npz"), tokens)
    video = tokenizer.decode(tmp_path / "clip.npz")
    assert np.array_equal(video, tokenizer.decode(tokens)) and video.shape == (20, 64, 64, 3)
    again = tokenizer.encode(video, rate=tokens.meta.rate)
    assert again.meta.rate == tokens.meta.rate
    sweettok.decode_video(tokens, tokenizer, str(tmp_path / "back.npy"))
    assert np.array_equal(np.load(tmp_path / "back.npy"), video)


def test_what_cannot_be_encoded_or_decoded_is_one_sentence(tmp_path: Path) -> None:
    tokenizer = BlockTokenizer()
    with pytest.raises(SweettokError, match=r"missing\.mp4 does not exist"):
        tokenizer.encode(tmp_path / "missing.mp4")
    with pytest.raises(SweettokError, match=r"begins with nope://, for which there is no file system"):
        tokenizer.encode("nope://example.org/clip.mp4")
    with pytest.raises(ValueError, match="A file states its own rate"):
        tokenizer.encode(tmp_path / "clip.mp4", rate=25)
    with pytest.raises(TypeError, match=r"not dict; arrays of clips go to decode_clips"):
        tokenizer.decode({"spatial": np.zeros(3)})  # type: ignore[arg-type]
    tokens = tokenizer.encode(np.zeros((17, 64, 64, 3), np.uint8))
    for wrong in (tokens.arrays["temporal"] + np.uint16(60_000), tokens.arrays["temporal"][:, 1:]):
        changed = sweettok.Tokens({**tokens.arrays, "temporal": wrong}, tokens.meta)
        with pytest.raises(SweettokError, match=r"^The token array holds .*'temporal'"):
            tokenizer.decode(changed)


def test_it_says_what_it_is() -> None:
    tokenizer = BlockTokenizer()
    assert repr(tokenizer) == (
        "BlockTokenizer('blocks': clips of 17 frames; codebooks spatial 256 x 256 x 256, "
        "temporal 511 x 511 x 511; 47.7 kbit/s at 256x256 and 24 fps; on cpu)"
    )
    assert {"encode", "decode", "encode_clips", "spec", "device"} <= set(dir(tokenizer))
    tokens = tokenizer.encode(np.zeros((20, 48, 64, 3), np.uint8), rate=30)
    assert repr(tokens) == (
        "Tokens('blocks': 20 frames of 64x48 at 30 fps; "
        "spatial uint16 [2, 16, 3], temporal uint16 [2, 64, 3])"
    )
    assert "an image of 64x48;" in repr(tokenizer.encode(np.zeros((48, 64, 3), np.uint8)))
