"""x264, x265 and AV1 as methods: what they cost, what they give back, and when they refuse."""

from __future__ import annotations

import json
import os
import threading
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from measuring import film

from sweettok_cli.data.datasets import open_dataset
from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.codecs.encoder import ENCODERS, CodedClip, Encoder, without_sei
from sweettok_cli.evaluation.codecs.method import CodecMethod
from sweettok_cli.evaluation.codecs.rate_search import TOLERANCE
from sweettok_cli.evaluation.method import Clip
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.metrics.psnr import psnr
from sweettok_cli.runtime import scheduling_kept
from sweettok_cli.video import VideoReader

RATE = Fraction(25)
CLIP = "intel-iot-devkit+sample-videos__001.mp4"  # 20 frames of 454x256, 10 a second

codecs = pytest.mark.parametrize("name", ENCODERS)


@cache
def moving(frames: int = 9, height: int = 96, width: int = 128) -> np.ndarray:
    """A grey texture that drifts under coloured waves that stand: uint8 [frames, height, width, 3]."""
    texture = np.random.default_rng(1).normal(0, 90, (height, width, 1))
    for axis in (0, 0, 1, 1):
        texture = (texture + np.roll(texture, 1, axis) + np.roll(texture, 2, axis)) / 3
    drift = np.stack([np.roll(texture, (2 * time, -3 * time), (0, 1)) for time in range(frames)])
    y, x = np.mgrid[:height, :width]
    waves = np.stack([40 * np.sin((x + y) / 15 + phase) for phase in (0, 1, 2)], -1)
    return (127 + drift * 2 + waves).clip(0, 255).astype(np.uint8)


@cache
def real(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.rgb for frame in reader])


def quality(source: np.ndarray, decoded: np.ndarray) -> float:
    assert decoded.shape == source.shape and decoded.dtype == np.uint8
    return float(np.mean([psnr(a, b) for a, b in zip(source, decoded, strict=True)]))


@codecs
def test_chroma_comes_back_where_it_was(name: str) -> None:
    """Half a pixel off, between the frames given to the encoder and those read, it is 46.7 dB."""
    share = 1 / (1 + np.exp((64.3 - np.arange(128)) / 3))  # from blue to red, over some pixels
    row = np.stack([60 + 130 * share, np.full(128, 90), 190 - 130 * share], -1)
    frame = np.rint(np.broadcast_to(row, (64, 128, 3))).astype(np.uint8)
    (point,) = CodecMethod(name).curve_points(frame[None], RATE, [1])
    assert quality(frame[None], point.frames) > 51


@codecs
def test_bits_and_quality_fall_along_the_curve(name: str) -> None:
    points = list(CodecMethod(name).curve_points(moving(), RATE))
    assert [point.crf for point in points] == sorted(point.crf for point in points)
    bits = [point.bits for point in points]
    scores = [quality(moving(), point.frames) for point in points]
    assert bits == sorted(bits, reverse=True) and bits[0] > 3 * bits[-1]
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1] + 6


@codecs
def test_low_rate_factors_come_back_nearly_whole(name: str, examples: Path) -> None:
    """All frames, in order, colour unharmed: grey levels and saturated edges, on a clip that is 4:2:0."""
    frames = real(examples / CLIP)[:5]
    (point,) = CodecMethod(name).curve_points(frames, Fraction(10), [8])
    assert quality(frames, point.frames) > 42
    colors = np.empty((3, 64, 64, 3), np.uint8)
    colors[:] = np.array([(200, 200, 90), (20, 20, 90), (110, 110, 90)], np.uint8)[:, None, None]
    (point,) = CodecMethod(name).curve_points(colors, RATE, [8])
    assert np.abs(point.frames.astype(int) - colors).max() <= 4


@codecs
def test_a_real_clip_is_matched(name: str, examples: Path) -> None:
    frames = real(examples / CLIP)[:12]
    target = 0.0515 * frames[..., 0].size
    outcome = CodecMethod(name).match(frames, Fraction(10), target)
    assert target * 0.92 < outcome.bits <= target * (1 + TOLERANCE)
    assert outcome.limit is None
    assert quality(frames, outcome.frames) > 30


@codecs
def test_results_do_not_depend_on_what_was_coded_before(name: str) -> None:
    fresh = CodecMethod(name).match(moving(), RATE, 15_000)
    assert fresh.bits == pytest.approx(15_000, rel=0.1)
    used = CodecMethod(name)
    list(used.curve_points(moving(), RATE))
    used.match(moving(5), RATE, 2_000)
    again = used.match(moving(), RATE, 15_000)
    assert (again.bits, again.crf) == (fresh.bits, fresh.crf)
    assert np.array_equal(again.frames, fresh.frames)


def test_a_clip_changed_in_place_is_another_clip() -> None:
    codec, frames = CodecMethod("x264"), moving().copy()
    before = codec.match(frames, RATE, 15_000)
    frames[:] = 255 - frames
    after = codec.match(frames, RATE, 15_000)
    assert quality(frames, after.frames) > 22 > quality(frames, before.frames)


def test_a_clip_is_encoded_once_at_each_rate_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[float] = []
    open_at = Encoder.open

    def counted(self: Encoder, width: int, height: int, rate: Fraction, crf: float) -> VideoCodecContext:
        encoded.append(crf)
        return open_at(self, width, height, rate, crf)

    monkeypatch.setattr(Encoder, "open", counted)
    codec = CodecMethod("x264")
    for _ in range(2):
        list(codec.curve_points(moving(), RATE))
        codec.match(moving(), RATE, 15_000)
    assert len(encoded) == len(set(encoded)) <= len(codec.encoder.curve) + 6


@codecs
@pytest.mark.parametrize("shape", [(3, 65, 99), (2, 17, 41), (1, 130, 67)])
def test_odd_and_small_sizes_and_images(name: str, shape: tuple[int, int, int]) -> None:
    frames = moving(*shape)
    (point,) = CodecMethod(name).curve_points(frames, RATE, [10])
    assert quality(frames, point.frames) > 32
    edge = np.abs(point.frames[:, -1].astype(int) - frames[:, -1]).mean()
    assert edge < 8


@codecs
def test_an_image_is_matched_from_below(name: str) -> None:
    image = moving(1, 128, 160)
    outcome = CodecMethod(name).match(image, Fraction(1), 9_000)
    assert 9_000 * 0.8 < outcome.bits <= 9_000 * (1 + TOLERANCE)
    assert quality(image, outcome.frames) > 20


@codecs
def test_noise_has_a_floor(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    outcome = CodecMethod(name).match(noise, RATE, 50)
    assert outcome.limit == "floor"
    assert outcome.bits > 50 and outcome.crf > 50
    assert quality(noise, outcome.frames) < 20


@codecs
def test_a_still_clip_has_a_ceiling(name: str) -> None:
    still = np.full((6, 64, 64, 3), 90, np.uint8)
    outcome = CodecMethod(name).match(still, RATE, 1e6)
    assert outcome.limit == "ceiling"
    assert outcome.bits < 20_000 and outcome.crf == 1
    assert quality(still, outcome.frames) > 45


def test_all_bytes_a_decoder_needs_are_counted_and_no_more() -> None:
    """Half of what the model spends on a short clip would be x264's own settings as text."""
    clip = CodedClip(moving(2, 64, 64), RATE, CodecMethod("x264").encoder)
    data = b"".join(clip.packets(30))
    assert clip.bits(30) == 8 * len(data)
    assert b"x264" not in data and b"crf" not in data
    assert b"x265" not in b"".join(
        CodedClip(moving(2, 64, 64), RATE, CodecMethod("x265").encoder).packets(30)
    )


def test_only_supplemental_information_is_cut() -> None:
    sps, sei, slice_ = (
        b"\0\0\0\1\x67\x64\x00\x1f",
        b"\0\0\1\x06\x05\x01\x01",
        b"\0\0\1\x65\x88\x00\x00\x03\x01",
    )
    assert without_sei(sps + sei + slice_) == sps + slice_
    assert without_sei(sei) == b""
    assert without_sei(slice_ + sps) == slice_ + sps


@pytest.mark.parametrize(
    "rate", [Fraction(1, 7), Fraction(30000, 1001), Fraction(123457, 4999), Fraction(1000)]
)
@codecs
def test_any_rate_is_taken(name: str, rate: Fraction) -> None:
    (point,) = CodecMethod(name).curve_points(moving(3), Fraction(rate), [30])
    assert quality(moving(3), point.frames) > 24


@codecs
def test_settings_are_said_in_full(name: str) -> None:
    codec = CodecMethod(name)
    said = json.loads(json.dumps(codec.describe()))
    assert codec.kind == "codec" and codec.name == name
    assert said["encoder"] == codec.encoder.library
    assert said["av"] == av.__version__
    assert {"preset", "cpu-used"} & set(said["options"])
    assert said["options"]["g"] == "250"
    assert "4:2:0 BT.709" in said["definition"] and "within 1%" in said["definition"]


def changing() -> np.ndarray:
    """Another picture from frame 28 on."""
    return np.concatenate([moving(28), 255 - moving(12)[:, ::-1, ::-1]])


def tail(codec: CodecMethod, packets: list[bytes], frames: int) -> list[np.ndarray]:
    """The last so many pictures of a stream, as a decoder gives them back that is given these packets."""
    decoder, found = CodecContext.create(codec.encoder.decoder, "r"), []
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    for data in [*packets, None]:
        found += decoder.decode(None if data is None else Packet(data))
    return [picture.to_ndarray() for picture in found[-frames:]]


@codecs
def test_key_frames_come_as_often_as_they_are_asked_for_and_nothing_refers_across_them(name: str) -> None:
    codec = CodecMethod(name, gop=17)
    packets = CodedClip(changing(), RATE, codec.encoder).packets(40)
    assert len(packets) == 40
    whole, alone = tail(codec, packets, 6), tail(codec, packets[34:], 6)
    assert len(alone) == 6 and all(np.array_equal(a, b) for a, b in zip(whole, alone, strict=True))
    # The key frame at 17 costs more than those at its sides, and the change at 28 begins no other group.
    sizes = [len(packet) for packet in packets]
    assert sizes[17] > 2 * max(sizes[15], sizes[16])
    said = codec.describe()
    assert codec.name == f"{name} GOP 17" and (said["gop"], said["options"]["g"]) == (17, "17")
    assert "Every 17 frames a key frame begins" in said["definition"]
    usual = CodecMethod(name)
    assert usual.describe()["gop"] == 250 and "where the encoder puts them" in usual.describe()["definition"]
    (few,), (many,) = (each.curve_points(moving(34), RATE, [40]) for each in (usual, codec))
    assert few.bits < many.bits


def test_streams_of_long_videos_hold_whole_groups(tmp_path: Path) -> None:
    clip = Clip(open_dataset(str(film(tmp_path / "a.mp4", 270, 64, 64))).items[0], Protocol("default"))
    for gop, streams in ((None, (250, 20)), (17, (238, 32)), (250, (250, 20))):
        codec = CodecMethod("x264", gop)
        assert tuple(len(frames) for frames, _ in codec.curve(clip))[::5] == streams
    with pytest.raises(ValueError, match="1 to 250 frames apart"):
        CodecMethod("x264", 251)


def test_every_option_is_one_the_encoder_knows() -> None:
    """Whatever libavcodec leaves over it has ignored."""
    for name in ENCODERS:
        context = CodecMethod(name).encoder.open(64, 64, RATE, 30)
        assert not context.options or set(context.options) == set(CodecMethod(name).encoder.options_at(30))
        assert not CodecMethod(name, 17).encoder.open(64, 64, RATE, 30).options


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="this system shows no scheduling")
@codecs
def test_no_thread_becomes_a_real_time_thread(name: str) -> None:
    """SVT-AV1 would, run as root: what this process computes afterwards would take ten times as long."""
    encoder = CodecMethod(name).encoder.open(64, 64, RATE, 30)
    threads = [int(thread.name) for thread in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    assert encoder.is_open


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="this system shows no scheduling")
def test_scheduling_is_put_back_for_the_caller_and_the_threads_it_started() -> None:
    seen: list[int] = []
    go = threading.Event()
    with scheduling_kept():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # which needs no rights
        thread = threading.Thread(target=lambda: (go.wait(600), seen.append(os.sched_getscheduler(0))))
        thread.start()
        assert os.sched_getscheduler(thread.native_id) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    go.set()
    thread.join()
    assert seen == [os.SCHED_OTHER]


def test_a_missing_codec_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    present = set(av.codecs_available)
    monkeypatch.setattr(av, "codecs_available", present - {"libsvtav1", "libaom-av1"})
    with pytest.raises(
        SweettokError, match=r"no encoder libsvtav1 or libaom-av1, so av1 cannot be measured;"
    ):
        CodecMethod("av1")
    CodecMethod("x264")
    monkeypatch.setattr(av, "codecs_available", present - {"h264"})
    with pytest.raises(SweettokError, match="no encoder libx264"):
        CodecMethod("x264")


def test_an_unknown_codec_is_one_sentence() -> None:
    with pytest.raises(SweettokError, match=r"vp9 is no codec to compare with; choose from x264, x265, av1"):
        CodecMethod("vp9")


def test_wrong_arrays_are_refused() -> None:
    codec = CodecMethod("x264")
    for wrong in (moving()[0], moving().astype(np.float32), moving()[..., :1], moving()[:0]):
        with pytest.raises(ValueError, match="uint8"):
            codec.match(wrong, RATE, 1_000)


def test_an_encoder_that_refuses_is_one_sentence() -> None:
    clip = CodedClip(moving(1), RATE, CodecMethod("x265").encoder)
    with pytest.raises(SweettokError, match=r"libx265 cannot encode 128x96 pixels at crf 99 \(.*\); leave"):
        clip.bits(99)
