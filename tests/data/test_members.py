"""Members of tar files that are no plain files, and tar files that are not whole."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from sweettok_cli.data.clips import find_entries
from sweettok_cli.data.members import compressed_tar, scanned
from sweettok_cli.errors import SweettokError

FILE, HARD, SOFT, PIPE, DEVICE, FOLDER = (
    tarfile.REGTYPE,
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.DIRTYPE,
)


def tar_of(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A tar file of members with their kinds: what files hold, and links lead to."""
    with tarfile.open(path, "w") as archive:
        for name, kind, what in members:
            header = tarfile.TarInfo(name)
            header.type, header.linkname = kind, what if kind in (HARD, SOFT) else ""
            header.size = len(what) if kind == FILE else 0
            archive.addfile(header, io.BytesIO(what.encode()))
    return path


def held(entries: object) -> dict[str, str]:
    """What each entry gives, or why it gives nothing."""
    found = {}
    for entry in entries:  # type: ignore[attr-defined]
        try:
            found[entry.name] = entry.source().getvalue().decode()
        except SweettokError as error:
            found[entry.name] = str(error)
    return found


def test_links_are_what_they_lead_to_in_the_tar_file(tmp_path: Path) -> None:
    tar = tar_of(
        tmp_path / "a.tar",
        ("before.mp4", SOFT, "deep/real.mp4"),
        ("./deep/real.mp4", FILE, "one"),
        ("deep/soft.mp4", SOFT, "real.mp4"),
        ("deep/up.mp4", SOFT, "../data"),
        ("hard.mp4", HARD, "./deep/real.mp4"),
        ("chain.mp4", SOFT, "before.mp4"),
        ("data", FILE, "two"),
        ("notes.txt", SOFT, "data"),
    )
    assert held(scanned(tar)) == {
        **dict.fromkeys(("before.mp4", "./deep/real.mp4", "deep/soft.mp4", "hard.mp4", "chain.mp4"), "one"),
        "deep/up.mp4": "two",
    }


def test_what_leads_elsewhere_and_is_no_file_is_said(tmp_path: Path) -> None:
    tar = tar_of(
        tmp_path / "a.tar",
        ("clip.mp4", FILE, "one"),
        ("out.mp4", SOFT, "/etc/passwd"),
        ("up.mp4", SOFT, "../../clip.mp4"),
        ("round.mp4", SOFT, "about.mp4"),
        ("about.mp4", SOFT, "round.mp4"),
        ("self.mp4", HARD, "self.mp4"),
        ("folder.mp4", FOLDER, ""),
        ("to.mp4", SOFT, "folder.mp4"),
        ("pipe.mp4", PIPE, ""),
        ("device.png", DEVICE, ""),
        ("pipe", PIPE, ""),
    )
    found = held(scanned(tar))
    assert found.pop("clip.mp4") == "one"
    assert found["out.mp4"] == (
        "out.mp4: is a link to '/etc/passwd', which is no file in a.tar; pack it anew."
    )
    assert found["pipe.mp4"] == "pipe.mp4: is a pipe in a.tar; pack it anew."
    assert "is a device" in found["device.png"]
    assert {name for name, why in found.items() if "is a link to" in why} == {
        *("out.mp4", "up.mp4", "round.mp4", "about.mp4", "self.mp4", "to.mp4"),
    }
    assert len(found) == 8


def whole(path: Path) -> bytes:
    return tar_of(path, *((f"{name}.mp4", FILE, name * 700) for name in "abc")).read_bytes()


# Each member is a header of 512 bytes and two blocks.
@pytest.mark.parametrize(
    ("kept", "names", "said"),
    [
        (3 * 1536, "abc", ""),  # the mark of the end may be missing
        (2 * 1536 + 1300, "abc", "unexpected end of data"),  # only what fills the block
        (2 * 1536 + 900, "ab", "unexpected end of data"),
        (2 * 1536 + 512, "ab", "unexpected end of data"),
        (2 * 1536 + 100, "ab", "no header at byte 3072"),
        (1536 + 600, "a", "unexpected end of data"),
    ],
)
def test_what_comes_before_a_cut_is_given_and_the_cut_said(
    tmp_path: Path, kept: int, names: str, said: str
) -> None:
    tar = tmp_path / "a.tar"
    tar.write_bytes(whole(tar)[:kept])
    told: list[str] = []
    found = held(scanned(tar, told.append))
    good = {name: text for name, text in found.items() if "is cut short" not in text}
    assert good == {f"{name}.mp4": name * 700 for name in names}
    assert len(told) == bool(said)
    if said:
        assert said in told[0] and "a.tar is cut short or damaged behind" in told[0]
        with pytest.raises(SweettokError, match="is not a readable tar file"):  # nothing is trained on half
            find_entries([tar])


def test_what_is_damaged_in_the_middle_is_no_end(tmp_path: Path) -> None:
    tar = tmp_path / "a.tar"
    data = bytearray(whole(tar))
    data[1536 + 3] ^= 0xFF  # in the name, which the checksum tells
    tar.write_bytes(data)
    told: list[str] = []
    assert list(held(scanned(tar, told.append))) == ["a.mp4"]
    assert "behind 'a.mp4' (no header at byte 1536)" in told[0]


def test_a_tar_file_behind_another_is_said(tmp_path: Path) -> None:
    tar = tmp_path / "a.tar"
    tar.write_bytes(whole(tar) + whole(tmp_path / "b.tar"))
    told: list[str] = []
    assert list(held(scanned(tar, told.append))) == ["a.mp4", "b.mp4", "c.mp4"]
    assert "another tar file lies behind its end" in told[0]
    tar.write_bytes(whole(tar) + bytes(100_000))
    told.clear()
    assert len(scanned(tar, told.append)) == 3 and not told


def test_what_is_compressed_is_called_so(tmp_path: Path) -> None:
    tar = tmp_path / "a.tar"
    tar.write_bytes(gzip.compress(whole(tar)))
    with pytest.raises(SweettokError, match=r"a\.tar is a tar file that is compressed by gzip.*; unpack it"):
        scanned(tar, print)
    for name in ("a.tar.gz", "A.TGZ", "a.b.tar.zst", "a.tar.xz", "a.tbz2"):
        assert f"{name} is a tar file that is compressed" in str(compressed_tar(Path(name)))
    (tmp_path / "b.tgz").write_bytes(tar.read_bytes())
    with pytest.raises(SweettokError, match=r"b\.tgz is a tar file that is compressed"):
        find_entries([tmp_path / "b.tgz"])
    for name in ("a.tar", "clip.gz", "a.targz.mp4"):
        assert compressed_tar(Path(name)) is None
