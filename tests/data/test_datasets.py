"""Tiny stand-ins in the official layouts."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sweettok_cli.data.datasets import DATA_SETS, DAVIS_RATE, open_dataset
from sweettok_cli.data.frames import files_of, middle_frames, open_source
from sweettok_cli.errors import SweettokError
from sweettok_cli.video import write_image


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("not decoded here")


def picture(path: Path, level: int, size: tuple[int, int] = (12, 20)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((*size, 3), level, np.uint8), force=True)
    return path


def test_ucf101_follows_its_lists(tmp_path: Path) -> None:
    videos, lists = tmp_path / "UCF-101", tmp_path / "ucfTrainTestlist"
    touch(videos / "Archery" / "v_Archery_g01_c01.avi", videos / "YoYo" / "v_YoYo_g25_c05.avi")
    lists.mkdir()
    (lists / "testlist01.txt").write_text("Archery/v_Archery_g01_c01.avi\r\nYoYo/v_YoYo_g01_c01.avi\r\n")
    (lists / "trainlist01.txt").write_text("YoYo/v_YoYo_g25_c05.avi 101\n")
    for root in (tmp_path, videos):
        found = open_dataset("ucf101", root)
        assert [(item.name, item.label) for item in found.items] == [
            ("Archery/v_Archery_g01_c01.avi", "Archery")
        ]
        assert found.items[0].path == videos / "Archery" / "v_Archery_g01_c01.avi"
    assert found.split == "test" and "1 of 3783 videos of testlist01.txt are here" in found.notes[0]
    train = open_dataset("UCF101", tmp_path, "train")
    assert [item.label for item in train.items] == ["YoYo"]
    assert "1 of 9537 videos of trainlist01.txt are here" in train.notes[0]  # the list was cut down
    with pytest.raises(SweettokError, match=r"no ucfTrainTestlist/testlist03\.txt; download UCF101\.rar"):
        open_dataset("ucf101", tmp_path, "test03")
    with pytest.raises(SweettokError, match="no split 'val' here; choose from test, train"):
        open_dataset("ucf101", tmp_path, "val")


def test_k600_matches_clips_to_the_list(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "val.csv").write_text(
        "label,youtube_id,time_start,time_end,split\n"
        "waxing legs,0wR5jVB-WPk,417,427,val\n"
        '"shooting off, fireworks",_9-1x,3.0,13.0,val\n'
        "gone,aaaaaaaaaaa,1,11,val\n"
    )
    touch(tmp_path / "val" / "waxing legs" / "0wR5jVB-WPk_000417_000427.mp4")
    touch(tmp_path / "val" / "_9-1x_000003_000013.webm", tmp_path / "val" / "aaaaaaaaaaa_000002_000012.mp4")
    found = open_dataset("k600", tmp_path)
    assert [(item.name, item.label) for item in found.items] == [
        ("0wR5jVB-WPk_000417_000427", "waxing legs"),
        ("_9-1x_000003_000013", "shooting off, fireworks"),
    ]
    assert "2 of 29793 clips of val.csv" in found.notes[0]  # of the published list, and not of this short one
    (tmp_path / "test.csv").write_text("name,start\nx,1\n")
    with pytest.raises(SweettokError, match="is not a list of Kinetics-600"):
        open_dataset("k600", tmp_path, "test")


@pytest.mark.parametrize("place", ["val", "val/n01440764", "", "ILSVRC/Data/CLS-LOC/val/n01440764"])
def test_imagenet_in_folders_by_class_or_flat(tmp_path: Path, place: str) -> None:
    names = [f"ILSVRC2012_val_0000000{i}.JPEG" for i in (2, 1)]
    touch(*(tmp_path / place / name for name in names), tmp_path / place / "notes.txt")
    found = open_dataset("imagenet", tmp_path)
    assert [item.name for item in found.items] == ["ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"]
    assert {item.label for item in found.items} == {"n01440764" if "n0144" in place else None}
    assert "2 of 50000" in found.notes[0]


def test_mcl_jcv_compressed_or_bare(tmp_path: Path) -> None:
    bare = tmp_path / "yuv" / "videoSRC02_16x8_30.yuv"
    touch(tmp_path / "videoSRC01_1920x1080_30.mp4", tmp_path / "videoSRC30.mp4", tmp_path / "other.mp4")
    bare.parent.mkdir()
    planes = np.concatenate([np.full(128, 200, np.uint8), np.full(64, 128, np.uint8)])
    bare.write_bytes(planes.tobytes() + np.full(192, 128, np.uint8).tobytes())
    found = open_dataset("mcl-jcv", tmp_path)
    assert [item.name for item in found.items] == ["videoSRC01", "videoSRC02", "videoSRC30"]
    source = open_source(found.items[1])
    assert (source.info.width, source.info.height, source.info.rate, source.count()) == (16, 8, 30, 2)
    frames = list(source.frames())
    assert [frame.shape for frame in frames] == [(8, 16, 3)] * 2
    # Grey of limited range: (200 - 16) * 255 / 219.
    assert abs(int(frames[0][4, 8, 1]) - 214) <= 1 and abs(int(frames[1][4, 8, 1]) - 130) <= 1
    assert np.array_equal(next(source.frames(1, 1)), frames[1])
    bare.write_bytes(bare.read_bytes()[:-1])
    with pytest.raises(SweettokError, match="does not hold whole 8-bit 4:2:0 frames of 16x8"):
        open_source(found.items[1])


def test_davis_sequences_are_folders_of_frames(tmp_path: Path) -> None:
    root = tmp_path / "DAVIS"
    for number, level in enumerate((10, 90, 170)):
        picture(root / "JPEGImages" / "480p" / "bear" / f"{number:05d}.jpg", level)
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("bear\nblackswan\n")
    found = open_dataset("davis", tmp_path)
    assert [item.name for item in found.items] == ["bear"] and "1 of 30 sequences" in found.notes[0]
    source = open_source(found.items[0])
    assert (source.info.frames, source.count(), source.info.rate) == (3, 3, DAVIS_RATE)
    assert not source.info.is_image
    assert [int(frame.mean().round()) for frame in source.frames(1)] == [90, 170]
    for count, middle in ((1, [90]), (2, [10, 90]), (5, [10, 90, 170]), (None, [10, 90, 170])):
        assert [int(frame.mean().round()) for frame in middle_frames(source, count)] == middle
    picture(root / "JPEGImages" / "480p" / "bear" / "00002.jpg", 0, (12, 24))
    with pytest.raises(SweettokError, match="24x12, but the first frame of its video 20x12"):
        list(source.frames())


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    picture(tmp_path / "real" / "a.png", 9)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    found = open_dataset(str(tmp_path / "link"))
    assert [item.name for item in found.items] == ["a.png"] and found.root.resolve() == tmp_path / "real"
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(SweettokError):
        open_dataset(str(tmp_path / "gone"))


@pytest.mark.parametrize("name", DATA_SETS)
def test_what_is_missing_says_where_to_get_it_and_how_to_lay_it_out(name: str, tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match="--data DIR") as without:
        open_dataset(name)
    with pytest.raises(SweettokError, match="no such folder"):
        open_dataset(name, tmp_path / "none")
    with pytest.raises(SweettokError) as empty:
        open_dataset(name, tmp_path)
    for error in (without, empty):
        assert "https://" in str(error.value) and "folder" in str(error.value)
        assert str(error.value).count("\n") == 0


def test_a_path_is_not_a_data_set(tmp_path: Path) -> None:
    picture(tmp_path / "ucf101" / "a.png", 9)
    assert not open_dataset(str(tmp_path / "ucf101")).known
    with pytest.raises(SweettokError, match="--data belongs to a data set"):
        open_dataset(str(tmp_path), tmp_path)
    with pytest.raises(SweettokError, match="--split belongs to a data set"):
        open_dataset(str(tmp_path), split="val")


def test_files_are_found_by_ending_below_the_folder_too(tmp_path: Path) -> None:
    picture(tmp_path / "c.png", 1)
    touch(tmp_path / "b.mp4", tmp_path / "below" / "a.MOV", tmp_path / "notes.txt")
    touch(tmp_path / ".hidden.mp4", tmp_path / ".trash" / "a.mp4")
    found = open_dataset(str(tmp_path))
    assert [item.name for item in found.items] == ["b.mp4", "below/a.MOV", "c.png"]
    assert [item.name for item in open_dataset(str(tmp_path / "notes.txt")).items] == ["notes.txt"]
    with pytest.raises(SweettokError, match="holds no video or picture"):
        (tmp_path / "empty").mkdir()
        open_dataset(str(tmp_path / "empty"))
    with pytest.raises(SweettokError, match="does not exist; give a folder"):
        open_dataset(str(tmp_path / "none"))


def test_folders_of_numbered_pictures_are_videos_where_asked(tmp_path: Path) -> None:
    for folder in ("shots/one", "shots/two"):
        for number in range(3):
            picture(tmp_path / folder / f"f{number}.png", 60 * number)
    (tmp_path / "empty").mkdir()
    assert len(open_dataset(str(tmp_path / "shots")).items) == 6
    found = open_dataset(str(tmp_path / "shots"), frames=True, rate=Fraction(12))
    assert [item.name for item in found.items] == ["one", "two"]
    alone = open_dataset(str(tmp_path / "shots/one"), frames=True)
    pattern = open_dataset(str(tmp_path / "shots/one/f%d.png"), rate=Fraction(12))
    for data, rate in ((found, 12), (alone, 25), (pattern, 12)):
        source = open_source(data.items[0])
        assert (source.count(), source.info.rate, source.info.is_image) == (3, rate, False)
        assert len(files_of(data.items[0])) == 3
    for bad in ("empty", "shots/one/f0.png"):
        with pytest.raises(SweettokError, match="no folder with numbered pictures"):
            open_dataset(str(tmp_path / bad), frames=True)
