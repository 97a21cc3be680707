"""Shards of every format: what is in them, who else reads them, and that they give back what went in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from megatron_index import documents
from videos import dense, grid, ragged

from sweettok_cli.errors import SweettokError
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.sequences.shards import FORMATS, ShardPlan, Shards, spelling_of, write_shards
from sweettok_cli.sequences.vocabulary import SPECIALS, Vocabulary
from sweettok_cli.tokens import Tokens
from tests.full_disk import disk_of

Video = tuple[str, str | None, Tokens]


def needs(kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def videos(make: Any = dense, classes: bool = False, count: int = 5) -> list[Video]:
    return [
        (f"in/{seed}.a", f"class {seed % 2}" if classes else None, make(seed, 1 + seed % 3))
        for seed in range(count)
    ]


def grids(seed: int, clips: int) -> Tokens:
    return grid(seed, 1 + 4 * clips)


def write(folder: Path, kind: str, given: Sequence[Video], **how: Any) -> Shards:
    needs(kind)
    spelling = spelling_of((name, label, tokens.meta) for name, label, tokens in given)
    assert spelling is not None
    write_shards(folder, ShardPlan(kind, spelling, **how), given)
    return Shards(folder)


def expected(shards: Shards, given: Sequence[Video]) -> list[np.ndarray]:
    code = shards.spelling.vocabulary
    return [VideoOrder.of(code, tokens.meta).write(tokens, label) for _, label, tokens in given]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("make", [dense, ragged, grids])
@pytest.mark.parametrize("shard_bytes", [None, 200])
def test_every_format_gives_back_every_video_bit_for_bit(
    tmp_path: Path, kind: str, make: Any, shard_bytes: int | None
) -> None:
    given = videos(make, classes=True)
    shards = write(tmp_path / "shards", kind, given, shard_bytes=shard_bytes)
    assert (len(shards.shards) == 1) == (shard_bytes is None)
    back = []
    for shard in shards.shards:
        shards.check(shard)
        reader = shards.open(shard)
        for sample in shards.samples(shard):
            back.append((sample.name, sample.label, shards.tokens(reader, sample)))
    assert len(back) == len(given)
    for one, other in zip(back, given, strict=True):
        assert one[:2] == other[:2] and one[2].meta == other[2].meta
        assert one[2].meta.to_json() == other[2].meta.to_json()
        for name, array in other[2].arrays.items():
            assert one[2].arrays[name].dtype == array.dtype
            assert np.array_equal(one[2].arrays[name], array)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("make", [dense, ragged])
def test_clips_are_read_alone(tmp_path: Path, kind: str, make: Any) -> None:
    given = videos(make)
    shards = write(tmp_path / "shards", kind, given)
    (shard,) = shards.shards
    reader = shards.open(shard)
    for sample, (_, _, tokens) in zip(shards.samples(shard), given, strict=True):
        clips = VideoOrder.of(shards.spelling.vocabulary, tokens.meta).clips(tokens)
        mark = [SPECIALS.index("clip")]
        for start in range(len(clips)):
            for end in range(start + 1, len(clips) + 1):
                wanted = np.concatenate([part for clip in clips[start:end] for part in (mark, clip)][1:])
                assert np.array_equal(reader.inner(sample, start, end), wanted)
        with pytest.raises((ValueError, LookupError)):
            reader.inner(replace(sample, at=sample.at + 10**6), 0, 1)


def test_the_vocabulary_lies_beside_and_is_that_of_all(tmp_path: Path) -> None:
    fixed, levels = dense(), ragged()
    shards = write(tmp_path / "s", "megatron", [("a", "x", fixed), ("b", "y", levels)])
    text = (tmp_path / "s" / "vocabulary.json").read_text()
    assert Vocabulary.from_json(text) == shards.spelling.vocabulary
    assert set(shards.spelling.vocabulary.codebooks) == {"spatial", "temporal", "detail"}
    assert shards.spelling.vocabulary.classes == ("x", "y")
    assert shards.spelling.length is None  # clips differ
    assert write(tmp_path / "t", "megatron", [("a", None, fixed)]).spelling.length == 4 * 3 + 6 * 3


@pytest.mark.parametrize("make", [dense, ragged])
def test_webdataset_reads_the_tar_files(tmp_path: Path, make: Any) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    given = videos(make, classes=True)
    shards = write(tmp_path / "shards", "webdataset", given, shard_bytes=400)
    urls = [str(path) for path in sorted((tmp_path / "shards").glob("*.tar"))]
    assert len(urls) > 1
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in read] == [f"{number:09}" for number in range(5)]
    for sample, ids, (name, label, tokens) in zip(read, expected(shards, given), given, strict=True):
        assert np.array_equal(sample["npz"]["ids"], ids) and sample["npz"]["ids"].dtype == np.uint16
        assert (sample["json"]["name"], sample["json"]["class"]) == (name, label)
        assert sample["json"]["meta"] == tokens.meta.to_json()


@pytest.mark.parametrize("make", [dense, ragged])
@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_datasets_reads_them(tmp_path: Path, make: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    given = videos(make, classes=True)
    shards = write(tmp_path / "shards", kind, given, shard_bytes=400)
    files = sorted(
        str(path) for path in (tmp_path / "shards").glob("*.tar" if kind == "webdataset" else "*.p*")
    )
    read = datasets.load_dataset(kind, data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    if kind == "webdataset":
        assert [row["json"]["name"] for row in read] == [name for name, _, _ in given]
        for row, ids in zip(read, expected(shards, given), strict=True):
            assert row["npz"]["ids"] == ids.tolist()
        return
    rows = iter(read)
    for name, label, tokens in given:
        for number, clip in enumerate(VideoOrder.of(shards.spelling.vocabulary, tokens.meta).clips(tokens)):
            row = next(rows)
            assert (row["name"], row["class"], row["clip"]) == (name, label, number)
            assert row["ids"] == clip.tolist()
    assert next(rows, None) is None


def test_parquet_lists_are_of_one_size_where_clips_are(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for make, kind in ((dense, "fixed_size_list<element: uint16>[30]"), (ragged, "list<element: uint16>")):
        write(tmp_path / make.__name__, "parquet", videos(make))
        schema = parquet.read_schema(tmp_path / make.__name__ / "tokens-00000.parquet")
        assert str(schema.field("ids").type) == kind
        assert schema.names == ["name", "clip", "clips", "ids"]


@pytest.mark.parametrize("make", [dense, ragged])
def test_megatron_files_are_as_published(tmp_path: Path, make: Any) -> None:
    given = videos(make, classes=True)
    shards = write(tmp_path / "shards", "megatron", given)
    found = documents(tmp_path / "shards" / "tokens-00000")
    assert all(len(sequences) == 1 and sequences[0].dtype == np.uint16 for sequences in found)
    for (ids,), wanted in zip(found, expected(shards, given), strict=True):
        assert np.array_equal(ids, wanted)
        assert (ids[0], ids[-1]) == (SPECIALS.index("begin"), SPECIALS.index("end"))


@pytest.mark.parametrize("kind", FORMATS)
def test_large_vocabularies_have_larger_numbers(tmp_path: Path, kind: str) -> None:
    small = grid()
    meta = replace(small.meta, codebooks={"indices": (262144,)})
    array = small.arrays["indices"].astype("<u4")
    array[0, 0, 0, 0] = 262143
    large = Tokens({"indices": array}, meta)
    shards = write(tmp_path / "shards", kind, [("a", None, large)])
    (shard,) = shards.shards
    back = shards.tokens(shards.open(shard), shards.samples(shard)[0])
    assert np.array_equal(back.arrays["indices"], array) and back.arrays["indices"].dtype == array.dtype
    if kind == "megatron":
        assert documents(shard.stem)[0][0].dtype == np.int32


def test_the_same_videos_give_the_same_bytes(tmp_path: Path) -> None:
    for kind in FORMATS:
        one = write(tmp_path / f"{kind}1", kind, videos())
        other = write(tmp_path / f"{kind}2", kind, videos())
        assert one.digest == other.digest


def test_tokens_that_do_not_go_together_are_named(tmp_path: Path) -> None:
    other = replace(dense().meta, weights_sha256="1" * 64)
    with pytest.raises(SweettokError, match=r"^two was made with the weights 111111111111, not with 0000"):
        spelling_of([("one", None, dense().meta), ("two", None, other)])
    latents = replace(grid().meta, family="vidtok-kl", codebooks={}, shapes={"latents": (4, 5, 8, 8)})
    with pytest.raises(
        SweettokError, match=r"^one holds continuous latents, .*; encode with a discrete model"
    ):
        spelling_of([("one", None, latents)])
    deep = ragged().meta
    deep = replace(deep, levels={**deep.levels, "temporal": 2}, rows={**deep.rows, "temporal": (0, 0)})
    with pytest.raises(SweettokError, match=r"^one cannot be written as symbols \(positions of temporal"):
        spelling_of([("one", None, deep)])


def test_a_folder_is_replaced_only_by_force_and_only_if_it_is_one(tmp_path: Path) -> None:
    target = tmp_path / "shards"
    write(target, "webdataset", videos(), shard_bytes=200)
    spelling = spelling_of([("a", None, dense().meta)])
    assert spelling is not None and spelling_of([]) is None
    plan = ShardPlan("megatron", spelling)
    with pytest.raises(SweettokError, match="shards exists"):
        write_shards(target, plan, videos())
    write_shards(target, plan, videos(), force=True)
    assert {path.name for path in target.iterdir()} == {
        "shards.json", "vocabulary.json", "tokens-00000.bin", "tokens-00000.idx", "tokens-00000.jsonl",
    }  # fmt: skip
    (target / "mine.txt").write_text("mine")
    with pytest.raises(SweettokError, match=r"mine\.txt, which is no part of a folder of shards"):
        write_shards(target, plan, videos(), force=True)
    with pytest.raises(SweettokError, match="nothing to write"):
        write_shards(tmp_path / "empty", plan, [])
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_leaves_the_folder_that_was_there(tmp_path: Path, kind: str) -> None:
    needs(kind)
    write(tmp_path / "shards", "webdataset", videos())
    before = (tmp_path / "shards" / "shards.json").read_bytes()
    given = [(f"{seed}", None, dense(seed, 1000)) for seed in range(3)]
    spelling = spelling_of((name, label, tokens.meta) for name, label, tokens in given)
    assert spelling is not None
    with disk_of(50_000), pytest.raises(SweettokError, match=r"^Cannot write .*; free some space"):
        write_shards(tmp_path / "shards", ShardPlan(kind, spelling), given, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["shards"]
    assert (tmp_path / "shards" / "shards.json").read_bytes() == before


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_said_with_its_file(tmp_path: Path, kind: str) -> None:
    shards = write(tmp_path / "shards", kind, videos())
    (shard,) = shards.shards
    for name in shard.files:
        path = tmp_path / "shards" / name
        before = path.read_bytes()
        path.write_bytes(before[:-1])
        with pytest.raises(SweettokError, match=rf"{name} is damaged \(it has"):
            shards.open(shard)
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(SweettokError, match=rf"{name} is damaged \(its SHA-256 is another one\)"):
            shards.check(shard)
        path.unlink()
        with pytest.raises(SweettokError, match=rf"{name} is damaged \(No such file"):
            shards.check(shard)
        path.write_bytes(before)
    for name, wrong in (("shards.json", "{}"), ("shards.json", "no"), ("vocabulary.json", "[]")):
        path = tmp_path / "shards" / name
        before = path.read_bytes()
        path.write_text(wrong)
        with pytest.raises(SweettokError, match=name):
            Shards(tmp_path / "shards")
        path.write_bytes(before)
    with pytest.raises(SweettokError, match="is no folder of shards"):
        Shards(tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_byte_is_changed_it_is_an_error_of_ours_or_other_symbols(tmp_path: Path, kind: str) -> None:
    """Without the SHA-256, as the data set reads: nothing else is raised, and nothing waits."""
    shards = write(tmp_path / "shards", kind, videos(count=2))
    (shard,) = shards.shards
    samples = shards.samples(shard)
    random = np.random.default_rng(0)
    for name in list(shard.files)[:-1]:
        path = tmp_path / "shards" / name
        before = path.read_bytes()
        for place in random.integers(len(before), size=60).tolist() + list(range(min(40, len(before)))):
            damaged = bytearray(before)
            damaged[place] ^= 1 << int(random.integers(8))
            path.write_bytes(damaged)
            try:
                reader = shards.open(shard)
                for sample in samples:
                    shards.tokens(reader, sample)
            except SweettokError as error:
                assert "is damaged (" in str(error)
        path.write_bytes(before)


def test_a_record_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "shards", "webdataset", videos())
    path = tmp_path / "shards" / "shards.json"
    record = json.loads(path.read_text())
    for change in (
        {"kind": "pickle"},
        {"shards": [record["shards"][0] | {"stem": "../tokens-00000"}]},
        {"shards": [record["shards"][0] | {"clips": [0]}]},
        {"shards": [record["shards"][0] | {"files": {}}]},
        {"shards": None},
        {"clip_symbols": "x"},
        {"tile": -1},
    ):
        path.write_text(json.dumps(record | change))
        with pytest.raises(SweettokError, match=r"shards\.json is damaged"):
            Shards(tmp_path / "shards")
