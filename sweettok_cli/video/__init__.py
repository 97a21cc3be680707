"""Pixels in and out: read and write video, cut it into clips and join them, fit it to the model's grid."""

from sweettok_cli.video.fit import Fit
from sweettok_cli.video.images import write_image
from sweettok_cli.video.info import VideoInfo, probe, variable_times
from sweettok_cli.video.reader import Frame, VideoReader, read_clip
from sweettok_cli.video.writer import VideoWriter

__all__ = [
    "Fit",
    "Frame",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "probe",
    "read_clip",
    "variable_times",
    "write_image",
]
