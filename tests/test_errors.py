"""What errors say to do, to whoever types commands and to whoever writes Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from block_tokenizer import BlockTokenizer

import sweettok
from sweettok_cli.errors import SweettokError, on_command_line, option


def test_options_are_named_as_they_are_given() -> None:
    for _ in range(2):
        assert [option("keep_going"), option("overlap", 16)] == ["keep_going=True", "overlap=16"]
        assert option("dtype", "float32") == "dtype='float32'"
        with pytest.raises(SweettokError), on_command_line():
            assert [option("keep_going"), option("overlap", 16)] == ["--keep-going", "--overlap 16"]
            assert option("dtype", "float32") == "--dtype float32"
            raise SweettokError("The command is over.")


def test_what_python_raises_speaks_of_python(tmp_path: Path) -> None:
    video = np.zeros((20, 64, 64, 3), np.uint8)
    tokenizer = BlockTokenizer()
    tokens = tokenizer.encode(video)
    target = tmp_path / "a.npz"
    sweettok.write_tokens(target, tokens)
    noise = np.random.default_rng(0).integers(0, 256, video.shape, np.uint8)
    sweettok.write_video(tmp_path / "cut.mp4", noise)
    (tmp_path / "cut.mp4").write_bytes((tmp_path / "cut.mp4").read_bytes()[:-9000])
    said = []
    for call in (
        lambda: sweettok.write_tokens(target, tokens),
        lambda: sweettok.write_tokens(tmp_path / "none" / "a.npz", tokens),
        lambda: sweettok.write_tokens(tmp_path / f"{'x' * 300}.npz", tokens),
        lambda: sweettok.decode_video(tokens, BlockTokenizer(weights_sha256="ab" * 32), tmp_path / "b.mp4"),
        lambda: tokenizer.encode(video, overlap=17),
        lambda: tokenizer.encode(tmp_path / "cut.mp4"),
        lambda: sweettok.load(str(tmp_path)),
        lambda: sweettok.load("no-such-model"),
        lambda: sweettok.load("sweettok-small", device="gpu"),
        lambda: sweettok.load("sweettok-small", dtype="int8"),
        lambda: sweettok.load("sweettok-small", sample=1),
    ):
        with pytest.raises(SweettokError) as raised:
            call()
        said.append(str(raised.value))
        assert not re.search(r"(^|\s)--?[a-z]", said[-1]), said[-1]
    assert "pass force=True" in said[0] and "pass overlap=16" in said[4]
    assert said[5].endswith("take that with keep_going=True.")
    assert tokenizer.encode(tmp_path / "cut.mp4", keep_going=True).meta.frames < len(video)


@pytest.mark.parametrize("floor", ["files.py", "runtime.py", "video", "tokens", "storage", "models/common"])
def test_no_sentence_below_the_commands_names_a_typed_option(floor: str) -> None:
    place = Path(sweettok.__file__).parent / floor
    for path in [place] if place.is_file() else sorted(place.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement in ast.walk(tree):
            if isinstance(statement, ast.Raise):
                for node in ast.walk(statement):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        commands_aside = re.sub(r"`.*?`|pip install .*", "", node.value)
                        assert not re.search(r"(^|\s)(--[a-z]|-o\b)", commands_aside), f"{path}: {node.value}"
