"""How the pictures of a file are stored, and what of that is lost when they become 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Names of ITU-T H.273, tables 2 to 4, as ffprobe spells them.
_PRIMARIES = {
    **{1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020"},
    **{10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"},
}
_TRANSFERS = {
    **{1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100"},
    **{10: "log316", 11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10"},
    **{15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67"},
}
_MATRICES = {
    **{0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco"},
    **{9: "bt2020nc", 10: "bt2020c", 11: "smpte2085", 14: "ictcp"},
}
_RANGES = {1: "limited", 2: "full"}
_HIGH_DYNAMIC_RANGE = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_ANGLES = {
    (False, False, False): 0,
    (True, True, False): 90,
    (False, True, True): 180,
    (True, False, True): 270,
}


@dataclass(frozen=True)
class Stored:
    """Names are None where the file does not say.

    Attributes:
        codec: libav's name, or Pillow's for a kind of picture.
        pixel_format: libav's name, or Pillow's mode.
        color_range: ``limited`` or ``full``.
        matrix: to RGB, like ``transfer`` and ``primaries`` by its name in ITU-T H.273.
        rotation: degrees clockwise by which the pictures are turned to be shown, after being mirrored.
        mirrored: left to right.
        alpha: whether there is transparency; of a still picture and of a GIF's first one, whether any shows.
        unread: what else the file holds, in words.
    """

    codec: str | None = None
    pixel_format: str | None = None
    color_range: str | None = None
    matrix: str | None = None
    transfer: str | None = None
    primaries: str | None = None
    rotation: int = 0
    mirrored: bool = False
    alpha: bool = False
    unread: str | None = None

    @property
    def flattened(self) -> list[str]:
        """What its tokens do not hold of it, in words."""
        curve = _HIGH_DYNAMIC_RANGE.get(self.transfer or "")
        words = [f"high dynamic range ({curve}) is cut to 8 bits and not tone-mapped"] if curve else []
        words += ["what is transparent is laid over white"] if self.alpha else []
        return [*words, self.unread] if self.unread else words


UNSTATED = Stored()


def stored_frame(frame: Any, codec: str, transpose: bool, mirror_x: bool, mirror_y: bool) -> Stored:
    """Of an ``av.VideoFrame``, which is shown with rows and columns swapped and then mirrored as given."""
    rotation, mirrored = turn(transpose, mirror_x, mirror_y)
    return Stored(
        codec=codec,
        pixel_format=frame.format.name,
        color_range=_RANGES.get(int(frame.color_range)),
        matrix=_MATRICES.get(int(frame.colorspace)),
        transfer=_TRANSFERS.get(int(getattr(frame, "color_trc", 2))),  # PyAV 14 does not tell
        primaries=_PRIMARIES.get(int(getattr(frame, "color_primaries", 2))),
        rotation=rotation,
        mirrored=mirrored,
        alpha=any(component.is_alpha for component in frame.format.components)
        and not _opaque_gif(frame, codec),
    )


def _opaque_gif(frame: Any, codec: str) -> bool:
    """Whether this is a GIF's picture without holes; the decoder gives alpha for all of them."""
    return codec == "gif" and bool((frame.to_ndarray()[..., 3] == 255).all())


def turn(transpose: bool, mirror_x: bool, mirror_y: bool) -> tuple[int, bool]:
    """Degrees clockwise, and whether the picture is mirrored left to right before it is turned."""
    for mirrored in (False, True):
        # Mirroring first is, once rows and columns are swapped, mirroring top to bottom.
        x, y = (mirror_x, mirror_y != mirrored) if transpose else (mirror_x != mirrored, mirror_y)
        if (transpose, x, y) in _ANGLES:
            return _ANGLES[transpose, x, y], mirrored
    raise AssertionError("eight ways to lay a picture on the screen")
