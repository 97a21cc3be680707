"""Shards as a data set: windows, who reads which, in which order, and how reading is gone on with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from videos import dense, described, grid, ragged

from sweettok_cli.errors import SweettokError
from sweettok_cli.sequences.crop import Tiles
from sweettok_cli.sequences.dataset import TokenDataset
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.sequences.shards import FORMATS, ShardPlan, Shards, spelling_of, write_shards
from sweettok_cli.tokens import Tokens

CLIPS = [1, 2, 3, 4, 5, 6, 7]


def write(folder: Path, kind: str = "megatron", make: Any = dense, **how: Any) -> dict[str, Tokens]:
    """Seven videos in about as many shards, of one to seven clips."""
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    given = [(f"video{clips}", f"class {clips % 2}", make(clips, clips)) for clips in CLIPS]
    spelling = spelling_of((name, label, tokens.meta) for name, label, tokens in given)
    assert spelling is not None
    write_shards(folder, ShardPlan(kind, spelling, **{"shard_bytes": 800, **how}), given)
    assert 3 <= len(Shards(folder).shards) <= 7
    return {name: tokens for name, _, tokens in given}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shards"
    write(folder)
    return folder


def seen(windows: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(window["name"], int(window["clip"])) for window in windows]


def all_windows(clips: int) -> Counter[tuple[str, int]]:
    return Counter(
        (f"video{many}", max(0, min(start, many - clips)))
        for many in CLIPS
        for start in range(0, many, clips)
    )


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("make", [dense, ragged])
@pytest.mark.parametrize("clips", [1, 3])
def test_a_window_is_the_video_of_its_clips(tmp_path: Path, kind: str, make: Any, clips: int) -> None:
    given = write(tmp_path / "shards", kind, make)
    dataset = TokenDataset(tmp_path / "shards", clips)
    windows = list(dataset)
    assert Counter(seen(windows)) == all_windows(clips) and len(windows) == len(dataset)
    code = dataset.vocabulary
    for window in windows:
        tokens, start = given[window["name"]], int(window["clip"])
        order = VideoOrder.of(code, tokens.meta)
        parts = order.clips(tokens)[start : start + clips]
        ids = [code.special("begin"), code.label(f"class {tokens.meta.clips % 2}")]
        for number, part in enumerate(parts):
            ids += [code.special("clip")] * (number > 0) + part.tolist()
        assert window["ids"].tolist() == [*ids, code.special("end")]
        assert window["ids"].dtype == torch.int64
        order.read(window["ids"].numpy())


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_and_workers_share_all_windows_without_one_twice(
    folder: Path, ranks: int, workers: int
) -> None:
    found: Counter[tuple[str, int]] = Counter()
    lengths = []
    for rank in range(ranks):
        dataset = TokenDataset(folder, 2, rank=rank, ranks=ranks)
        windows = seen(DataLoader(dataset, batch_size=None, num_workers=workers))
        assert len(windows) == len(dataset)
        lengths.append(len(windows))
        found.update(windows)
    assert found == all_windows(2) and max(lengths) - min(lengths) <= 1
    even = [TokenDataset(folder, 2, rank=rank, ranks=ranks, even=True) for rank in range(ranks)]
    assert {len(list(dataset)) for dataset in even} == {sum(lengths) // ranks} == set(map(len, even))


def test_order_is_told_by_seed_and_epoch(folder: Path) -> None:
    dataset = TokenDataset(folder, seed=3)
    first = seen(dataset)
    assert first == seen(dataset) == seen(TokenDataset(folder, seed=3))
    assert first != seen(TokenDataset(folder, seed=4))
    dataset.set_epoch(1)
    assert sorted(first) == sorted(seen(dataset)) != seen(dataset) != first
    in_order = seen(TokenDataset(folder, shuffle=False))
    assert in_order == [(f"video{many}", clip) for many in CLIPS for clip in range(many)]


def test_an_epoch_reaches_workers_that_live_on(folder: Path) -> None:
    dataset = TokenDataset(folder)
    loader = DataLoader(dataset, batch_size=None, num_workers=1, persistent_workers=True)
    first = seen(loader)
    dataset.set_epoch(1)
    other = TokenDataset(folder)
    other.set_epoch(1)
    assert seen(loader) == seen(other) != first


@pytest.mark.parametrize("epoch", [0, 2])
def test_reading_goes_on_exactly_wherever_it_was_left(folder: Path, epoch: int) -> None:
    whole = TokenDataset(folder, 2, mix=2)
    whole.set_epoch(epoch)
    wanted = seen(whole)
    for given in range(len(wanted) + 1):
        before = TokenDataset(folder, 2, mix=2)
        before.set_epoch(epoch)
        windows = iter(before)
        done = seen(next(windows) for _ in range(given))
        after = TokenDataset(folder, 2, mix=2)
        after.load_state_dict(before.state_dict())
        assert after.state_dict() == before.state_dict()
        assert done + seen(after) == wanted
        after.set_epoch(epoch)
        assert seen(after) == wanted  # the next iteration is a whole one


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_goes_on_exactly_in_the_middle_of_an_epoch(folder: Path, workers: int) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is not installed")

    def loader() -> Any:
        dataset = TokenDataset(folder, 2, seed=5)
        dataset.set_epoch(1)
        return stateful.StatefulDataLoader(
            dataset, batch_size=2, num_workers=workers, collate_fn=dataset.collate, prefetch_factor=None
        )

    wanted = [batch["ids"].tolist() for batch in loader()]
    first = loader()
    batches = iter(first)
    done = [next(batches)["ids"].tolist() for _ in range(3)]
    state = first.state_dict()
    del batches
    second = loader()
    second.load_state_dict(state)
    assert done + [batch["ids"].tolist() for batch in second] == wanted
    assert len(wanted) == 8


def test_a_state_of_other_data_settings_or_workers_is_refused(folder: Path, tmp_path: Path) -> None:
    state = TokenDataset(folder, 2).state_dict()
    write(tmp_path / "other", make=lambda seed, clips: dense(seed + 1, clips))
    for other in (
        TokenDataset(folder, 3),
        TokenDataset(folder, 2, seed=1),
        TokenDataset(tmp_path / "other", 2),
    ):
        with pytest.raises(SweettokError, match="of other shards"):
            other.load_state_dict(state)
    ranked = TokenDataset(folder, 2, rank=0, ranks=2)
    ranked.load_state_dict(state)
    with pytest.raises(SweettokError, match="of 1 ranks and workers together, and these are 2"):
        iter(ranked)


def test_batches_are_filled_up(tmp_path: Path) -> None:
    write(tmp_path / "shards", "megatron", ragged)
    dataset = TokenDataset(tmp_path / "shards", 2)
    batch = next(iter(DataLoader(dataset, batch_size=5, collate_fn=dataset.collate)))
    windows = [window for window, _ in zip(dataset, range(5), strict=False)]
    assert batch["ids"].shape == (5, max(batch["length"])) and batch["name"] == [w["name"] for w in windows]
    for row, length, window in zip(batch["ids"], batch["length"], windows, strict=True):
        assert torch.equal(row[:length], window["ids"])
        assert (row[length:] == dataset.vocabulary.special("pad")).all()


def tiled(seed: int, clips: int, rows: int = 2, columns: int = 3) -> Tokens:
    """Of tiles of 16 spatial and 64 temporal tokens: each of its indices tells where it is."""
    words = {"spatial": (400, 400, 400), "temporal": (4000, 4000, 4000)}
    shapes = {"spatial": (16 * rows * columns, 3), "temporal": (64 * rows * columns, 3)}
    size = {"width": 64 * columns, "height": 64 * rows}
    padded = {f"padded_{name}": value for name, value in size.items()}
    meta = described(clips, codebooks=words, shapes=shapes, **size, **padded)
    arrays = {
        name: np.broadcast_to(np.arange(shape[0])[:, None], (clips, *shape)).astype(np.uint16)
        for name, shape in shapes.items()
    }
    return Tokens(arrays, meta)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_crop_is_what_lies_in_some_tiles(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "shards", kind, tiled, tile=64, shard_bytes=20000)
    dataset = TokenDataset(tmp_path / "shards", 2, crop=(1, 2))
    order = VideoOrder.of(dataset.vocabulary, tiled(0, 1, 1, 2).meta)
    corners = set()
    for window in dataset:
        arrays, label = order.read(window["ids"].numpy())
        assert label == f"class {int(window['name'][5:]) % 2}"
        assert len(arrays["spatial"]) == min(2, int(window["name"][5:]))
        top, left = divmod(int(arrays["spatial"][0, 0, 0]), 4 * 3)
        corners.add((top, left))
        for name, side in (("spatial", 4), ("temporal", 8)):
            whole = np.arange(2 * side * 3 * side).reshape(2 * side, 3 * side)
            down, right = top // 4 * side, left // 4 * side
            part = whole[down : down + side, right : right + 2 * side].ravel()
            assert (arrays[name] == part[None, :, None]).all()
    assert corners == {(0, 0), (0, 4), (4, 0), (4, 4)}
    again = TokenDataset(tmp_path / "shards", 2, crop=(1, 2), rank=1, ranks=2)
    both = [list(TokenDataset(tmp_path / "shards", 2, crop=(1, 2))), list(again)]
    for one, other in zip(both[0][1::2], both[1], strict=True):  # crops are those of the windows' places
        assert torch.equal(one["ids"], other["ids"])


def test_crops_make_videos_of_different_sizes_alike(tmp_path: Path) -> None:
    write(
        tmp_path / "shards", "webdataset", lambda n, clips: tiled(n, clips, 1 + n % 3, 2), shard_bytes=20000
    )
    dataset = TokenDataset(tmp_path / "shards", crop=(1, 1), tile=64)
    assert {len(window["ids"]) for window in dataset} == {3 + 3 * (16 + 64)}


def test_what_cannot_be_cropped_is_said(tmp_path: Path) -> None:
    write(tmp_path / "tiled", make=tiled, shard_bytes=20000)
    with pytest.raises(SweettokError, match="does not say how large tiles are; pass tile=64"):
        TokenDataset(tmp_path / "tiled", crop=(1, 1))
    with pytest.raises(
        SweettokError, match=r"video\d of .* has 2 rows of 3 tiles, less than the crop's 3 and 1"
    ):
        list(TokenDataset(tmp_path / "tiled", crop=(3, 1), tile=64))
    with pytest.raises(SweettokError, match="192x128 pixels are no whole number of tiles of 100 pixels"):
        list(TokenDataset(tmp_path / "tiled", crop=(1, 1), tile=100))
    write(tmp_path / "levels", make=ragged)
    with pytest.raises(SweettokError, match="crops are of the fixed layout alone"):
        list(TokenDataset(tmp_path / "levels", crop=(1, 1), tile=64))
    with pytest.raises(ValueError, match="has no tiles"):
        Tiles(grid().meta, 64)
    with pytest.raises(ValueError, match="are no squares of tiles"):
        Tiles(replace(dense().meta, padded_width=128), 64)


def test_settings_that_mean_nothing_are_refused(folder: Path) -> None:
    for wrong in ({"clips": 0}, {"mix": 0}, {"crop": (0, 1)}, {"rank": 1}, {"rank": 2, "ranks": 2}):
        with pytest.raises(ValueError):
            TokenDataset(folder, **wrong)  # type: ignore[arg-type]
    with pytest.raises(SweettokError, match="is no folder of shards"):
        TokenDataset(folder.parent)


def test_a_shard_that_is_damaged_is_named_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / "shards")
    path = tmp_path / "shards" / "tokens-00001.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(SweettokError, match=r"tokens-00001\.bin is damaged"):
        list(TokenDataset(tmp_path / "shards"))


def test_a_cropped_clip_decodes_to_that_part_of_the_picture(examples: Path) -> None:
    """To what lies in those tiles, nearly: attention looks a little past their edges."""
    import sweettok
    from sweettok_cli.metrics.psnr import psnr
    from sweettok_cli.tokens.layout import TiledTokens
    from sweettok_cli.video import read_clip

    tokenizer = sweettok.load("sweettok-small", "cpu")
    layout = tokenizer.spec.layout
    assert isinstance(layout, TiledTokens)
    clip = read_clip(examples / "mdn+shared-assets__000.mp4", 0, 17)[:, :128, :192]
    fixed = sweettok.Budget(fixed=True)
    tokens = tokenizer.encode(clip, budget=fixed)
    whole = tokenizer.decode_clips(tokens.arrays, 128, 192)[0]
    flat = np.concatenate([tokens.arrays[name].ravel() for name in ("spatial", "temporal")])
    cut = flat[Tiles(tokens.meta, layout.tile).rectangle(0, 1, 1, 2)]
    size = 2 * 16 * 3
    part = {"spatial": cut[:size].reshape(1, -1, 3), "temporal": cut[size:].reshape(1, -1, 3)}
    found = tokenizer.decode_clips(part, 64, 128)[0]
    near = {
        (top, left): np.mean([
            psnr(one, other)
            for one, other in zip(found, whole[:, top : top + 64, left : left + 128], strict=True)
        ])
        for top in (0, 64)
        for left in (0, 64)
    }  # fmt: skip
    assert near.pop((0, 64)) > 34 and max(near.values()) < 20
