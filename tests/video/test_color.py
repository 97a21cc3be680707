"""Colour against the exact formulas of ITU-T H.273, 8.3, not against libswscale's own round trip."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from sweettok_cli.errors import SweettokError
from sweettok_cli.video import VideoReader, VideoWriter
from sweettok_cli.video.color import FromRgb, ToRgb

COLORS = np.array(
    [
        (255, 255, 255),
        (191, 191, 0),
        (0, 191, 191),
        (0, 191, 0),
        (191, 0, 191),
        (191, 0, 0),
        (0, 0, 191),
        (0, 0, 0),
    ]
    + [(v, v, v) for v in range(1, 255, 17)]
    + [(255, 0, 0), (60, 200, 30)]
)
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2


def exact_yuv(rgb: np.ndarray, matrix: int, span: int, bits: int = 8) -> np.ndarray:
    """[..., 3] RGB 0 to 255 -> [..., 3] Y'CbCr code values, not yet rounded."""
    kr, kb = WEIGHTS[matrix]
    r, g, b = np.moveaxis(rgb / 255.0, -1, 0)
    luma = kr * r + (1 - kr - kb) * g + kb * b
    chroma = np.stack([(b - luma) / (2 - 2 * kb), (r - luma) / (2 - 2 * kr)])
    top, middle = 2**bits - 1, 2 ** (bits - 1)
    if span == FULL:
        return np.stack([luma * top, *(chroma * top + middle)], -1)
    step = 2 ** (bits - 8)
    return np.stack([(16 + 219 * luma) * step, *((128 + 224 * chroma) * step)], -1)


def stripes(colors: np.ndarray, height: int = 16) -> np.ndarray:
    return np.repeat(np.repeat(colors[None], 16, 1), height, 0)


def coded(matrix: int, span: int, bits: int = 8, height: int = 16) -> av.VideoFrame:
    planes = np.rint(exact_yuv(stripes(COLORS, height), matrix, span, bits)).clip(0, 2**bits - 1)
    planes = np.moveaxis(planes, -1, 0)
    if bits == 8:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(planes, np.uint8), format="yuv444p")
    frame = av.VideoFrame(planes.shape[2], planes.shape[1], "yuv444p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        rows[:, : values.shape[1]] = values
        plane.update(rows.tobytes())
    return frame


def error(rgb: np.ndarray) -> int:
    """Largest difference in the middle of the stripes."""
    return int(np.abs(rgb[8, 8::16].astype(int) - COLORS).max())


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("bits", [8, 10])
def test_tagged_frames_come_back_exactly(matrix: int, span: int, bits: int) -> None:
    frame = coded(matrix, span, bits)
    frame.colorspace, frame.color_range = matrix, span
    assert error(ToRgb()(frame)) <= 2


@pytest.mark.parametrize(("height", "matrix"), [(16, 6), (718, 6), (720, 1), (1080, 1)])
def test_untagged_frames_follow_their_height(height: int, matrix: int) -> None:
    assert error(ToRgb()(coded(matrix, LIMITED, height=height))) <= 2


def test_untagged_grey_is_full_range() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    rgb = ToRgb()(av.VideoFrame.from_ndarray(ramp, format="gray"))
    assert np.array_equal(rgb[0, :, 1], ramp[0])


def test_rgb_frames_are_left_alone() -> None:
    rgb = stripes(COLORS).astype(np.uint8)
    assert np.array_equal(ToRgb()(av.VideoFrame.from_ndarray(rgb, format="rgb24")), rgb)
    assert np.array_equal(ToRgb()(av.VideoFrame.from_ndarray(rgb[..., ::-1].copy(), format="bgr24")), rgb)


def test_unknown_matrix_is_refused() -> None:
    frame = coded(1, LIMITED)
    frame.colorspace = 8
    with pytest.raises(SweettokError, match="colour matrix 8"):
        ToRgb()(frame)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_written_values_are_bt709_limited(pixels: str) -> None:
    frame = FromRgb(pixels)(stripes(COLORS).astype(np.uint8))
    assert int(frame.colorspace) == 1 and int(frame.color_range) == LIMITED
    wanted = exact_yuv(COLORS, 1, LIMITED)
    for plane, values in zip(frame.planes, wanted.T, strict=True):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        step = 16 * plane.width // (16 * len(COLORS))
        assert np.abs(rows[plane.height // 2, step // 2 :: step] - values).max() <= 1


@pytest.mark.parametrize("odd", [0, 1])
def test_ramp_and_bars_survive_the_file(tmp_path: Path, odd: int) -> None:
    ramp = np.repeat(np.tile(np.arange(256, dtype=np.uint8), (64, 1))[..., None], 3, 2)
    bars = np.repeat(np.repeat(COLORS[:8].astype(np.uint8)[None], 32, 1), 64, 0)
    picture = np.concatenate([ramp, bars])[: 128 - odd, : 256 - odd]
    path = tmp_path / "color.mp4"
    with VideoWriter(path, 256 - odd, 128 - odd, 25) as writer:
        for _ in range(5):
            writer.write(picture)
    with VideoReader(path) as reader:
        read = np.stack([frame.rgb for frame in reader]).astype(int)
    assert read.shape == (5, 128 - odd, 256 - odd, 3)
    difference = np.abs(read - picture)
    assert difference[:, :60].max() <= 4 and difference[:, :60].mean() < 1
    assert difference[:, 68:120, 16::32].max() <= 4


def test_file_states_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp4"
    with VideoWriter(path, 64, 64, 25) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.colorspace, context.color_primaries, context.color_trc, context.color_range)
        assert tuple(int(tag) for tag in tags) == (1, 1, 1, LIMITED)
    assert b"colrnclx" in path.read_bytes()


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (65_535, 2)])
@pytest.mark.parametrize("to", [(32, 24), (1, 1), (1, 2000), (2000, 1)])
def test_every_size_is_scaled_to_every_other(size: tuple[int, int], to: tuple[int, int]) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), 70, np.uint8), format="rgb24")
    rgb = ToRgb()(frame, to)
    assert rgb.shape == (*to[::-1], 3) and np.abs(rgb.astype(int) - 70).max() <= 2


def packed(pixels: np.ndarray, pixel_format: str) -> av.VideoFrame:
    """A frame of one plane, of which ``pixels`` [h, w, ...] are the bytes."""
    frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], pixel_format)
    (plane,) = frame.planes
    rows = np.zeros((plane.buffer_size // plane.line_size, plane.line_size), np.uint8)
    given = np.frombuffer(pixels.tobytes(), np.uint8).reshape(len(pixels), -1)
    rows[: len(pixels), : given.shape[1]] = given
    plane.update(rows.tobytes())
    return frame


@pytest.mark.parametrize("pixel_format", ["rgb555be", "rgb565be", "bgr555be", "bgr565be", "rgb555le"])
def test_packed_pixels_of_sixteen_bits_in_either_order_of_bytes(pixel_format: str) -> None:
    five = stripes(COLORS).astype(np.uint16) >> 3
    green = 5 + ("565" in pixel_format)
    red, blue = (5 + green, 0) if pixel_format.startswith("rgb") else (0, 5 + green)
    values = five[..., 0] << red | five[..., 1] << green | five[..., 2] << blue
    order = ">u2" if pixel_format.endswith("be") else "<u2"
    found = ToRgb()(packed(values.astype(order), pixel_format)).astype(int)
    assert np.abs(found - (five << 3 | five >> 2)).max() <= 4


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_floats_are_of_full_range(order: str, width: int, alpha: bool) -> None:
    """As OpenEXR has them. libswscale ends the program over those with alpha."""
    name = f"{'ya' if alpha else 'gray'}f{8 * width}{'le' if order == '<' else 'be'}"
    try:
        av.VideoFormat(name)
    except ValueError:
        pytest.skip("this libav does not know it")
    values = np.tile(np.array([0, 0.2, 0.5, 1, 2, np.nan]), (8, 1))
    shown = [0, 51, 128, 255, 255, 0]
    if alpha:
        values = np.dstack([values, np.tile([1, 1, 1, 1, 1, 0], (8, 1))])
        shown[-1] = 255
    frame = packed(values.astype(f"{order}f{width}"), name)
    assert ToRgb()(frame)[3].tolist() == [[grey] * 3 for grey in shown]
    assert ToRgb()(frame, (12, 16)).shape == (16, 12, 3)


def test_pixels_that_libav_cannot_convert_are_one_sentence() -> None:
    with pytest.raises(SweettokError, match=r"stored as bgr4 cannot be converted .*convert the video"):
        ToRgb()(av.VideoFrame(16, 16, "bgr4"))
