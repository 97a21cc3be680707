"""Model folders that others made: each fault is one sentence, before anything is built."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sweettok_cli import files
from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import sha256_file
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.registry import read_spec
from sweettok_cli.models.sweettok.config import SMALL, SweetTokConfig, make_config
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.storage.model_folder import ModelFolder
from sweettok_cli.zoo.load import load

KINDS = {"sweettok": SweetTokConfig, "omnitokenizer": OmniConfig, "vidtok-fsq-causal": VidTokConfig}
KEYS = [(family, key) for family, kind in KINDS.items() for key in kind.__dataclass_fields__]
#: No key takes any of these; most take neither of the two that follow them.
NEVER: tuple[Any, ...] = (
    -1,
    10**30,
    float("nan"),
    float("inf"),
    "?",
    "t" * 10**6,
    [[1]],
    [-1],
    {"a": {}},
    [None],
)
SELDOM: tuple[Any, ...] = (0, None, 1.5, True, "", [], 10**9)


@pytest.fixture
def copy(families: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a small model of a family, to be spoilt."""
    return lambda family: Path(shutil.copytree(families[family], tmp_path / family))


def change(folder: Path, file: str = "config.json", **changes: Any) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def set_key(folder: Path, key: str, value: Any) -> None:
    change(folder, config={**json.loads((folder / "config.json").read_text())["config"], key: value})


def weigh(folder: Path, **changes: torch.Tensor) -> None:
    """Other weights, with the digest that belongs to them."""
    path = folder / "model.safetensors"
    save_file({**load_file(path), **{name.replace("__", "."): t for name, t in changes.items()}}, path)
    change(folder, weights_sha256=sha256_file(path))


@pytest.mark.parametrize(("family", "key"), KEYS, ids=[f"{family}-{key}" for family, key in KEYS])
def test_every_key_has_a_kind_and_a_range(copy: Callable[[str], Path], family: str, key: str) -> None:
    folder = copy(family)
    for value in NEVER:
        set_key(folder, key, value)
        with pytest.raises(
            SweettokError, match=rf"config\.json describes no network: {key} = .* is not "
        ) as e:
            read_spec(ModelFolder(folder))
        assert len(str(e.value)) < 400 and "again" in str(e.value)
    for value in SELDOM:
        set_key(folder, key, value)
        try:
            read_spec(ModelFolder(folder))
        except SweettokError as error:
            assert "config.json" in str(error)


@pytest.mark.parametrize(
    ("family", "key", "value", "words"),
    [
        ("sweettok", "frames", 1 + 4 * 10**9, "frames = 4000000001 is not a whole number from 1 to 1025"),
        ("sweettok", "frames", 18, "18 frames are not 1"),
        ("sweettok", "heads", 3, "dim = 32 is not a multiple of heads = 3, but would be of heads = 1"),
        ("sweettok", "window", 5, "tile = 8 is not a multiple of window = 5"),
        ("sweettok", "spatial_queries", 3, "tile = 8 is not a multiple of spatial_queries = 3"),
        ("sweettok", "patch", 7, "patch = 7 is not a multiple of 2"),
        ("sweettok", "spatial_code", [1, 2, 3], "null or a list of 2, each a whole number from 1 to 16384"),
        ("sweettok", "search", 1000, "search = 1000, more than the 12 modifiers that there are"),
        ("omnitokenizer", "head_dim", 6, "head_dim = 6 is not a multiple of 4"),
        ("omnitokenizer", "frames", 18, "frames = 18 is not 1 [+] k"),
        ("vidtok-fsq-causal", "channels", 11, "channels = 11 is not 1 to 10"),
        ("vidtok-fsq-causal", "spatial_down", [2, 1, 1], "must list each level once"),
        ("vidtok-fsq-causal", "depth", 3, "'depth' is no setting"),
    ],
)
def test_keys_that_do_not_go_together(
    copy: Callable[[str], Path], family: str, key: str, value: Any, words: str
) -> None:
    folder = copy(family)
    set_key(folder, key, value)
    with pytest.raises(SweettokError, match=rf"config\.json .*{words}"):
        load(str(folder), "cpu")


@pytest.mark.parametrize(
    ("family", "wide"), [("sweettok", "dim"), ("omnitokenizer", "codes"), ("vidtok-fsq-causal", "width")]
)
def test_shapes_are_compared_before_memory_is_taken(
    copy: Callable[[str], Path], family: str, wide: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(family)
    set_key(folder, wide, 4096)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(SweettokError, match=r"do not fit its configuration \(.* is \[.*\], not \["):
        load(str(folder), "cpu")


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("sweettok", "decoder.mask_token"),
        ("sweettok", "quantize_temporal.vectors"),
        ("omnitokenizer", "codebook.embeddings"),
        ("vidtok-fsq-causal", "decoder.conv_out.conv.bias"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_are_finite(copy: Callable[[str], Path], family: str, name: str, value: float) -> None:
    folder = copy(family)
    spoilt = load_file(folder / "model.safetensors")[name].clone()
    spoilt.view(-1)[-1] = value
    weigh(folder, **{name: spoilt})
    with pytest.raises(SweettokError, match=r"not finite.*again\."):
        load(str(folder), "cpu")


EDGES: dict[str, tuple[torch.Tensor, str]] = {
    "past the words": (
        torch.tensor([[0], [50]], dtype=torch.int32),
        r"point outside the 50 words \(0 to 50\)",
    ),
    "below": (torch.tensor([[-1], [2]], dtype=torch.int32), "point outside"),
    "far": (torch.tensor([[1 << 62], [2]]), "point outside"),
    "of numbers": (torch.tensor([[0.0], [2.0]]), "of float32, not"),
    "in rows": (torch.zeros(3, 2, dtype=torch.int32), r"shape \[3, 2\]"),
    "alone": (torch.tensor(1), r"shape \[\]"),
}


@pytest.mark.parametrize(("edges", "words"), EDGES.values(), ids=EDGES)
def test_the_graph_stays_among_its_words(
    copy: Callable[[str], Path], edges: torch.Tensor, words: str
) -> None:
    folder = copy("sweettok")
    weigh(folder, quantize_spatial__edges=edges)
    with pytest.raises(SweettokError, match=rf"spatial words of .* {words}"):
        load(str(folder), "cpu")


WORDS: dict[str, tuple[Any, str]] = {
    "none": ({"modifiers": [], "heads": []}, "has 0 modifiers, not 2 to 65536"),
    "one": ({"modifiers": ["a"], "heads": ["b"]}, "has 1 modifiers"),
    "no heads": ({"modifiers": ["a", "b"], "heads": []}, "has 0 heads"),
    "too many": ({"modifiers": ["a"] * 65_537, "heads": ["b"]}, "has 65537 modifiers"),
    "numbers": ({"modifiers": [1, 2], "heads": ["b"]}, "has 1 among its modifiers, which is no word"),
    "lists": ({"modifiers": ["a", ["b" * 10**6]], "heads": ["c"]}, "which is no word"),
    "long": ({"modifiers": ["a", "b" * 10**6], "heads": ["c"]}, "which is no word"),
    "no text": ({"modifiers": ["a", "\ud800"], "heads": ["c"]}, "which is no word"),
    "blank": ({"modifiers": ["a", " "], "heads": ["c"]}, "which is no word"),
    "a table": ({"modifiers": {}, "heads": {}}, "lacks the spatial words"),
}


@pytest.mark.parametrize(("lists", "words"), WORDS.values(), ids=WORDS)
def test_word_lists_hold_words(copy: Callable[[str], Path], lists: Any, words: str) -> None:
    folder = copy("sweettok")
    change(folder, "words.json", spatial=lists)
    with pytest.raises(SweettokError, match=rf"words\.json.* {words}") as caught:
        read_spec(ModelFolder(folder))
    assert len(str(caught.value)) < 400


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "a version of megabytes": ({"version": "9" * 3_000_000}, "has version '999"),
    "a nested version": ({"version": [[[1] * 9] * 9] * 9}, "has version"),
    "no name": ({"name": ["a"]}, "name = .'a'., which is not 1 to 255 characters"),
    "a long name": ({"name": "a" * 3_000_000}, "name = 'aaa"),
    "a name that is no text": ({"name": "\udcff"}, "name = "),
    "no digest": ({"weights_sha256": "../../x"}, "names no SHA-256"),
    "a family of megabytes": ({"family": "f" * 3_000_000}, "unknown family 'fff"),
    "a licence that is none": ({"source": {"weights_license": ["MIT"]}}, "source.weights_license = "),
    "another's source": ({"source": {"pulled": {"revision": 3}}}, "source.pulled.revision = 3"),
    "no source": ({"source": {"pulled": [1]}}, "source.pulled"),
}


@pytest.mark.parametrize(("changes", "words"), HEADERS.values(), ids=HEADERS)
def test_headers_are_checked(copy: Callable[[str], Path], changes: dict[str, Any], words: str) -> None:
    folder = copy("sweettok")
    change(folder, **changes)
    with pytest.raises(SweettokError, match=words) as caught:
        read_spec(ModelFolder(folder))
    assert len(str(caught.value)) < 500 + len(str(folder))


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, "1" * 5000, '{"config": NaN', " " * (2 << 20), "\x00"]
)
@pytest.mark.parametrize("file", ["config.json", "words.json"])
def test_json_is_bounded(
    copy: Callable[[str], Path], file: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LONGEST_JSON", 1 << 20)
    folder = copy("sweettok")
    (folder / file).write_text(text)
    with pytest.raises(SweettokError, match=rf"Cannot read .*{file} \(.*\); .*again\."):
        read_spec(ModelFolder(folder))


@pytest.mark.parametrize("key", sorted(SMALL.__dataclass_fields__))
def test_recipes_name_the_key_too(key: str) -> None:
    for value in NEVER:
        with pytest.raises(SweettokError, match=rf"\(model\.{key} = .*\); correct the recipe"):
            make_config({"preset": "sweettok-small", key: value})


@pytest.mark.parametrize("preset", ["?" * 10**6, ["sweettok-small"], {"a": 1}, 3])
def test_presets_are_names(preset: Any) -> None:
    with pytest.raises(SweettokError, match=r"set model\.preset to one of compact, sweettok-small") as caught:
        make_config({"preset": preset})
    assert len(str(caught.value)) < 300


def test_values_are_shown_in_brief() -> None:
    shared: Any = []
    for _ in range(100):
        shared = [shared, shared]  # 2**100 brackets
    for value in (shared, 10**100_000, "x" * 10**7, {"a": shared}, torch.zeros(1000)):
        assert len(brief(value)) <= 80
    assert brief("short") == "'short'"
