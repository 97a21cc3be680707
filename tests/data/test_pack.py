"""Packs: smaller clips in shards, the same bytes however often they are interrupted, nothing lost unsaid."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_run import write_clip

from sweettok_cli.data import entry as entries
from sweettok_cli.data import pack as packing
from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.pack import Plan, pack
from sweettok_cli.data.pieces import Packing, PieceMaker
from sweettok_cli.data.sampler import Sampler, Sampling
from sweettok_cli.data.shards import index_of
from sweettok_cli.errors import SweettokError
from sweettok_cli.runtime import OnProgress, ignore_progress
from sweettok_cli.video.info import probe
from sweettok_cli.video.reader import VideoReader, read_clip
from sweettok_cli.video.writer import VideoWriter


@contextmanager
def unwatched(label: str, unit: str) -> Iterator[OnProgress]:
    yield ignore_progress


def run(*inputs: Path, out: Path, said: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    made = {name: changes.pop(name) for name in list(changes) if name in Packing.__dataclass_fields__}
    plan = Plan(inputs, out, Packing(**{"short_side": 48, **made}), **{"workers": 2, **changes})
    return pack(plan, unwatched, ([] if said is None else said).append)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small clips, one of them in a folder, one in a shard."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "below").mkdir()
    for number in range(4):
        write_clip(folder / f"clip.{number}.mp4", number, frames=12, width=96, height=64)
    write_clip(folder / "below" / "clip.0.mp4", 5, frames=30, width=64, height=80)
    write_clip(folder / "in.mp4", 6, frames=9, width=40, height=32)
    with tarfile.open(folder / "some.tar", "w") as shard:
        shard.add(folder / "in.mp4", "deep/in.mp4")
    (folder / "in.mp4").unlink()
    return folder


def test_a_pack_holds_every_clip_smaller_and_an_index_tells_of_them(videos: Path, tmp_path: Path) -> None:
    record = run(videos, out=tmp_path / "shards", shard_bytes=20_000)
    assert (record["clips"], record["pieces"], record["frames"]) == (6, 6, 4 * 12 + 30 + 9)
    assert record["unreadable"] == [] and len(record["shards"]) > 1
    assert not [path for path in (tmp_path / "shards").iterdir() if path.name.startswith(".")]
    found = find_entries([tmp_path / "shards"])
    assert sorted(entry.name for entry in found) == [
        "below/clip_0__0000.mp4",
        *(f"clip_{number}__0000.mp4" for number in range(4)),
        "deep/in__0000.mp4",
    ]
    for entry in found:
        shape = read_clip(entry.source(), 0, 100).shape
        assert entry.facts == dataclasses.replace(entry, facts=None).declared()
        assert shape[0] == entry.facts.frames and shape[1:3] in ((48, 72), (60, 48), (32, 40))
        index_of(entry.path).rename(entry.path.with_suffix(".aside"))
        scanned = {one.name: one for one in find_entries([entry.path])}
        assert scanned[entry.name] == dataclasses.replace(entry, facts=None)
        entry.path.with_suffix(".aside").rename(index_of(entry.path))


def test_training_opens_no_packed_clip_before_it_reads_it(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(videos, out=tmp_path / "shards")
    sampler = Sampler(find_entries([tmp_path / "shards"]), Sampling([[32.0, 3.0, 1.0]], frames=5))

    def refuse(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(entries, "open_container", refuse)
    sampler.check(ignore_progress)
    assert sampler.batch(0).frames.shape == (3, 5, 32, 32, 3) and not sampler.unreadable


def test_lossless_pieces_are_the_frames_at_the_rate_asked_for(videos: Path, tmp_path: Path) -> None:
    source = videos / "below" / "clip.0.mp4"  # 30 frames, 25 a second
    record = run(source, out=tmp_path / "s", codec="lossless", short_side=0, fps=Fraction(25, 2), seconds=0.5)
    assert (record["pieces"], record["frames"]) == (2, 15)
    whole = read_clip(source, 0, 30)
    found = sorted(find_entries([tmp_path / "s"]), key=lambda entry: entry.name)
    assert [entry.facts.frames for entry in found if entry.facts] == [8, 7]
    frames = np.concatenate([read_clip(entry.source(), 0, 99) for entry in found])
    assert np.array_equal(frames, whole[::2])
    assert [entry.declared().rate for entry in found] == [12.5, 12.5]


def test_rates_and_sizes_only_fall(videos: Path, tmp_path: Path) -> None:
    record = run(videos / "below", out=tmp_path / "s", short_side=500, fps=Fraction(60), seconds=0)
    assert record["frames"] == 30
    (entry,) = find_entries([tmp_path / "s"])
    assert read_clip(entry.source(), 0, 1).shape[1:3] == (80, 64) and entry.declared().rate == 25


def test_uneven_frames_become_even(tmp_path: Path) -> None:
    times = [Fraction(t, 10) for t in (0, 1, 2, 3, 4, 8, 12, 13, 14, 15)]
    with VideoWriter(tmp_path / "uneven.mp4", 16, 16, Fraction(10), times=times, crf=1) as writer:
        for t in range(10):
            writer.write(np.full((16, 16, 3), 20 * t, np.uint8))
    run(tmp_path / "uneven.mp4", out=tmp_path / "s", codec="lossless", fps=Fraction(5))
    (entry,) = find_entries([tmp_path / "s"])
    shown = np.rint(read_clip(entry.source(), 0, 99).mean((1, 2, 3)) / 20)
    assert shown.tolist() == [0, 2, 4, 4, 5, 5, 6, 8]
    assert probe(tmp_path / "uneven.mp4").variable_rate


def test_parts_of_lists_are_packed_and_no_more(videos: Path, tmp_path: Path) -> None:
    (videos / "parts.csv").write_text("path,start,end\nbelow/clip.0.mp4,0.2,0.4\nbelow/clip.0.mp4,1.0,\n")
    try:
        record = run(videos / "parts.csv", out=tmp_path / "s", codec="lossless", short_side=0)
    finally:
        (videos / "parts.csv").unlink()
    assert (record["clips"], record["frames"]) == (2, 10)
    whole = read_clip(videos / "below" / "clip.0.mp4", 0, 30)
    found = {entry.name: read_clip(entry.source(), 0, 99) for entry in find_entries([tmp_path / "s"])}
    assert np.array_equal(found["below/clip_0__0000.mp4"], whole[5:10])
    assert np.array_equal(found["below/clip_0~2__0000.mp4"], whole[25:])


def test_pictures_stay_pictures(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 120 * 90 * 3).reshape(90, 120, 3).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "one.png")
    for codec, ending, size in (("h264", ".jpg", (45, 60)), ("lossless", ".png", (90, 120))):
        side = 45 if codec == "h264" else 0
        run(tmp_path / "one.png", out=tmp_path / codec, codec=codec, short_side=side)
        (entry,) = find_entries([tmp_path / codec])
        picture = read_clip(entry.source(), 0, 1)[0]
        assert entry.name == f"one__0000{ending}" and entry.is_image and picture.shape[:2] == size
        assert codec == "h264" or np.array_equal(picture, ramp)


def test_copies_are_the_files_as_they_are(videos: Path, tmp_path: Path) -> None:
    run(videos, out=tmp_path / "s", codec="copy")
    found = {entry.name: entry for entry in find_entries([tmp_path / "s"])}
    source = found["clip_2__0000.mp4"].source()
    assert not isinstance(source, Path) and source.read() == (videos / "clip.2.mp4").read_bytes()
    assert found["clip_2__0000.mp4"].facts == entries.Facts(12, 25.0)


def test_what_cannot_be_read_is_left_out_and_listed(videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos, tmp_path / "v")
    (tmp_path / "v" / "bad.mp4").write_bytes(b"no video")
    whole = (videos / "clip.1.mp4").read_bytes()
    (tmp_path / "v" / "cut.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    with tarfile.open(tmp_path / "v" / "bad.tar", "w") as shard:
        shard.add(tmp_path / "v" / "bad.mp4", "inside.mp4")
    record = run(tmp_path / "v", out=tmp_path / "s")
    assert record["clips"] == 6
    assert [failed["clip"] for failed in record["unreadable"]] == ["bad.mp4", "inside.mp4", "cut.mp4"]
    for failed in record["unreadable"]:
        assert failed["why"] and str(tmp_path) not in failed["why"] and "part" not in failed["why"]
    assert json.loads((tmp_path / "s" / "pack.json").read_text())["unreadable"] == record["unreadable"]
    with pytest.raises(SweettokError, match=r"None of the 1 clips can be packed \(bad\.mp4: cannot be read"):
        run(tmp_path / "v" / "bad.mp4", out=tmp_path / "none")


@pytest.mark.parametrize("workers", [1, 3])
def test_an_interrupted_pack_goes_on_to_the_same_bytes(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    run(videos, out=tmp_path / "whole", shard_bytes=20_000, workers=1)
    make, made = PieceMaker.make, []

    def until_the_third(*arguments: Any) -> Any:
        made.append(arguments[2].name)
        if len(made) == 3:
            raise KeyboardInterrupt
        return make(*arguments)

    monkeypatch.setattr(PieceMaker, "make", until_the_third)
    out = tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        run(videos, out=out, shard_bytes=20_000, workers=workers)
    assert not [*out.rglob("*.tar")] and not (out / "pack.json").exists()
    (out / ".pieces" / "left.part").touch()

    said: list[str] = []
    monkeypatch.setattr(packing, "write_shard", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(videos, out=out, shard_bytes=20_000, workers=workers, said=said)
    again = [name for name in set(made) if made.count(name) > 1]
    assert len(made) < 2 * 6 and len(again) <= workers + 1, "what was packed is packed again"
    monkeypatch.undo()
    monkeypatch.setattr(PieceMaker, "make", lambda *_: pytest.fail("packed again"))
    run(videos, out=out, shard_bytes=20_000, workers=workers, said=said)
    assert said[-1] == "6 of 6 clips were packed before"
    assert contents(out) == contents(tmp_path / "whole")


def test_the_seed_decides_the_order_and_what_is_set_aside(videos: Path, tmp_path: Path) -> None:
    def order(seed: int) -> tuple[list[str], list[str]]:
        out = tmp_path / f"{seed}"
        run(videos, out=out, codec="copy", val=0.3, seed=seed)
        return tuple([e.name for e in find_entries([out / split])] for split in ("train", "val"))  # type: ignore[return-value]

    found = [order(seed) for seed in range(3)]
    for train, val in found:
        assert len(val) == 2 and len(train) == 4 and not {*train} & {*val}
    assert len({tuple(train) for train, _ in found}) > 1 and len({frozenset(val) for _, val in found}) > 1
    assert any(train != sorted(train) for train, _ in found)
    with pytest.raises(SweettokError, match="One clip alone cannot be shared out"):
        run(videos / "clip.0.mp4", out=tmp_path / "alone", val=0.5)


def test_a_pack_is_not_replaced_unasked(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "s"
    run(videos, out=out, codec="copy")
    before = contents(out)
    with pytest.raises(SweettokError, match=r"s exists; pass force=True to replace it"):
        run(videos, out=out, codec="copy")
    assert run(videos, out=out, codec="copy", skip_existing=True)["skipped"]
    with pytest.raises(SweettokError, match="holds a pack of other clips, or made in another way"):
        run(videos / "below", out=out, codec="copy", skip_existing=True)
    assert contents(out) == before
    assert run(videos / "below", out=out, codec="copy", val=0, force=True)["clips"] == 1
    assert sorted(contents(out)) == ["clips-000.index.json", "clips-000.tar", "pack.json"]


def test_other_folders_are_left_alone(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SweettokError, match=r"holds notes\.txt, which is no part of a pack"):
        run(videos, out=tmp_path)
    with pytest.raises(SweettokError, match=r"notes\.txt is a file; name a folder"):
        run(videos, out=tmp_path / "notes.txt")
    shutil.copy(videos / "clip.0.mp4", tmp_path)
    assert run(tmp_path, out=tmp_path / "s", codec="copy")["clips"] == 1
    assert run(tmp_path, out=tmp_path / "s", codec="copy", skip_existing=True)["skipped"], "it packs itself"
    with pytest.raises(SweettokError, match=r"All clips lie in .*s itself"):
        run(tmp_path / "s", out=tmp_path / "s", codec="copy", force=True)


def test_long_videos_are_cut_into_pieces_alike(tmp_path: Path) -> None:
    write_clip(tmp_path / "long.mp4", 0, frames=70, width=32, height=32)
    run(tmp_path / "long.mp4", out=tmp_path / "s", seconds=1, codec="lossless", short_side=0)
    found = sorted(find_entries([tmp_path / "s"]), key=lambda entry: entry.name)
    assert [entry.declared().frames for entry in found] == [24, 24, 22]
    with VideoReader(tmp_path / "long.mp4") as reader:
        whole = np.stack([frame.rgb for frame in reader])
    assert np.array_equal(np.concatenate([read_clip(e.source(), 0, 99) for e in found]), whole)
