from __future__ import annotations

from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoWriter, probe, write_image

from . import torture


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(container.streams.audio[0]) if p.size]


def sound(path: Path) -> tuple[np.ndarray, float]:
    """Samples [n], and when the first is heard, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        return np.concatenate([f.to_ndarray().mean(0) for f in frames]).astype(float), float(
            frames[0].pts * frames[0].time_base
        )


def onset(path: Path) -> float:
    """When the tone begins, in seconds after the first picture."""
    samples, start = sound(path)
    loud = np.abs(samples) > 0.25 * np.abs(samples).max()
    return start + np.argmax(loud) / 48000 - float(probe(path).start)


def copy_sound(source: Path, target: Path, total: int = torture.FRAMES) -> Path:
    with VideoWriter(target, 64, 48, 25, audio_from=source) as writer:
        for index in range(total):
            writer.write(torture.picture(index))
    return target


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3"])
@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_packets_are_copied_as_they_are(tmp_path: Path, codec: str, ending: str) -> None:
    source = torture.make(tmp_path / "in.mkv", sound=(codec, Fraction(0)))
    target = copy_sound(source, tmp_path / f"out{ending}")
    assert packets(target) == packets(source)


@pytest.mark.parametrize(("codec", "name"), [("libopus", "in.webm"), ("flac", "in.mkv")])
def test_free_codecs_are_copied_into_mp4(tmp_path: Path, codec: str, name: str) -> None:
    pictures = "libvpx-vp9" if name.endswith("webm") else "libx264"
    source = torture.make(tmp_path / name, pictures, sound=(codec, Fraction(0)))
    target = copy_sound(source, tmp_path / "out.mp4")
    assert packets(target) == packets(source)


@pytest.mark.parametrize(
    ("codec", "name"), [("pcm_s16le", "in.avi"), ("pcm_s16le", "in.mov"), ("pcm_s24le", "in.mkv")]
)
def test_other_codecs_are_encoded_again(tmp_path: Path, codec: str, name: str) -> None:
    source = torture.make(tmp_path / name, "mpeg4", sound=(codec, Fraction(0)))
    target = copy_sound(source, tmp_path / "out.mp4")
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    samples, _ = sound(target)
    before, _ = sound(source)
    assert abs(len(samples) - len(before)) <= 2 * 1024
    assert onset(target) == pytest.approx(onset(source), abs=0.03)


def _late_pcm(path: Path) -> Path:
    return torture.make(path, pts=range(10, 22), sound=("pcm_s16le", Fraction(0)))


def _slightly_late_pcm(path: Path) -> Path:
    return torture.make(path, pts=range(2, 14), sound=("pcm_s16le", Fraction(0)))


DISTANT = {
    "late.mkv": torture.READABLE["late.mkv"],
    "late.mp4": torture.READABLE["late.mp4"],
    "broadcast.ts": torture.READABLE["broadcast.ts"],
    "pcm.mkv": _late_pcm,
}


@pytest.mark.parametrize("name", DISTANT)
def test_sound_keeps_its_distance_from_the_pictures(tmp_path: Path, name: str) -> None:
    source = DISTANT[name](tmp_path / name)
    target = copy_sound(source, tmp_path / "out.mp4")
    assert onset(target) == pytest.approx(onset(source), abs=0.03)


def test_sound_just_before_the_pictures_is_trimmed_not_moved(tmp_path: Path) -> None:
    source = _slightly_late_pcm(tmp_path / "in.mkv")
    target = copy_sound(source, tmp_path / "out.mp4")
    samples, start = sound(target)
    assert probe(target).start == 0
    assert start + len(samples) / 48000 == pytest.approx(1.0 - 0.08, abs=0.03)


def test_sound_and_pictures_are_interleaved(tmp_path: Path) -> None:
    source = torture.make(tmp_path / "in.mkv", frames=300, sound=("aac", Fraction(0)))
    target = copy_sound(source, tmp_path / "out.mp4", 300)
    with av.open(str(target)) as container:
        kinds = [p.stream.type for p in container.demux() if p.size]
    assert len(kinds) > 700
    assert max(len(list(run)) for _, run in groupby(kinds)) <= 8


def test_sources_without_sound_are_no_error(tmp_path: Path) -> None:
    silent = torture.build(tmp_path, "plain.mp4")
    assert not probe(copy_sound(silent, tmp_path / "a.mp4")).has_audio
    write_image(tmp_path / "still.png", torture.picture(0))
    assert not probe(copy_sound(tmp_path / "still.png", tmp_path / "b.mp4")).has_audio


def test_a_sound_file_will_do(tmp_path: Path) -> None:
    source = torture.audio_only(tmp_path / "song.m4a")
    assert packets(copy_sound(source, tmp_path / "out.mp4")) == packets(source)


def test_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(SweettokError, match=r"gone\.mp4 does not exist"):
        copy_sound(tmp_path / "gone.mp4", tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def test_sound_whose_clock_goes_back_goes_on(tmp_path: Path) -> None:
    """Two broadcasts joined: time stamps are repeated."""
    with av.open(str(tmp_path / "part.ts"), "w") as out:
        torture.tone(out, out.add_stream("ac3", rate=48000, layout="mono"), Fraction(0), 1.0)
    part = (tmp_path / "part.ts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(part + part)
    once, twice = len(packets(tmp_path / "part.ts")), len(packets(tmp_path / "twice.ts"))
    assert twice >= 2 * once - 1
    target = copy_sound(tmp_path / "twice.ts", tmp_path / "out.mp4", total=60)
    assert len(packets(target)) == twice
    with av.open(str(target)) as container:
        stamps = [packet.dts for packet in container.demux(audio=0) if packet.size]
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("ending", [".webm", ".mov"])
def test_sound_that_changes_its_form_goes_on(tmp_path: Path, ending: str) -> None:
    """A broadcast, mono and then stereo at another rate, which is encoded again."""
    joined = tmp_path / "joined.mp2"
    for rate, layout in ((48000, "mono"), (44100, "stereo")):
        with av.open(str(tmp_path / "part.mp2"), "w") as out:
            stream = out.add_stream("mp2", rate=rate, layout=layout)
            torture.tone(out, stream, Fraction(0), 1.0)
        with joined.open("ab") as all_of_it:
            all_of_it.write((tmp_path / "part.mp2").read_bytes())
    samples, _ = sound(copy_sound(joined, tmp_path / f"out{ending}", total=60))
    seconds = [np.abs(samples[at : at + 4800]).max() for at in range(4800, 80_000, 4800)]
    assert 1.8 < len(samples) / 48000 < 2.1 and min(seconds) > 0.3


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
@pytest.mark.parametrize("starts", [(0, 0), (10_000, 13_600), (10_000, 9_000), (10_000, 10_002)])
def test_sound_is_joined_where_the_pictures_are(tmp_path: Path, starts: tuple[int, int], ending: str) -> None:
    """A broadcast whose clock jumps: the pictures of 4 seconds, and not the sound of an hour."""
    parts = []
    for number, start in enumerate(starts):
        options = {"output_ts_offset": str(start)}
        part = torture.make(
            tmp_path / f"{number}.ts", frames=50, container=options, sound=("mp2", Fraction(0))
        )
        parts.append(part.read_bytes())
    (tmp_path / "joined.ts").write_bytes(b"".join(parts))
    target = copy_sound(tmp_path / "joined.ts", tmp_path / f"out{ending}", total=100)
    with av.open(str(target)) as container:
        base = container.streams.audio[0].time_base
        times = [float(packet.dts * base) for packet in container.demux(audio=0) if packet.size]
    assert times == sorted(set(times)) and times[-1] == pytest.approx(4, abs=0.1)
    assert np.diff(times).max() < 0.1
    samples, _ = sound(target)
    assert len(samples) / 48000 == pytest.approx(4, abs=0.1)


def test_sound_without_a_decoder_is_one_sentence(tmp_path: Path) -> None:
    source = torture.make(tmp_path / "a.mov", sound=("pcm_s16le", Fraction(0)))
    source.write_bytes(source.read_bytes().replace(b"sowt", b"zzzz"))
    with pytest.raises(SweettokError, match=r"a\.mov holds audio in a codec for which there is no decoder"):
        copy_sound(source, tmp_path / "out.mp4")


@pytest.mark.parametrize(
    ("codec", "head"), [("libopus", b"\x63\xa2\x93OpusHead"), ("flac", b"\x63\xa2\xaafLaC")]
)
def test_sound_without_its_head_is_one_sentence(tmp_path: Path, codec: str, head: bytes) -> None:
    """Which libav finds out when it writes what MP4 says of it: at the beginning, or at the end."""
    source = torture.make(tmp_path / "a.mkv", sound=(codec, Fraction(0)))
    content = source.read_bytes()
    assert content.count(head) == 1
    source.write_bytes(content.replace(head, b"\x63\xa3" + head[2:]))
    with pytest.raises(SweettokError, match=r"The sound of .*a\.mkv cannot be copied \(.*AAC\.$"):
        copy_sound(source, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == [source]


def test_of_several_sounds_one_that_can_be_decoded_is_taken(tmp_path: Path) -> None:
    """Beside the usual one, phones record a spatial one that libav does not know."""
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        voices = [out.add_stream(codec, rate=48000, layout="mono") for codec in ("ac3", "aac")]
        for voice in voices:
            torture.tone(out, voice, Fraction(0), 1.0)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data.replace(b"A_AC3", b"A_ZZ3"))
    target = copy_sound(tmp_path / "a.mkv", tmp_path / "out.mp4")
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert len(sound(target)[0]) > 47_000
