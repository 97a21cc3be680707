"""Open a file for reading, or say in one sentence why that cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.remote import RemoteFile

# Text shown as a terminal, and lists of other files: none of them is a video, and a list could name anything.
_REFUSED = {"tty", "hls", "dash", "concat", "lavfi", "ffmetadata", "sdp", "rtsp", "image2", "bin", "imf"}
_ATTACHED_PICTURE = 0x400
_COVER_CODECS = {"png", "mjpeg", "bmp", "gif", "webp", "tiff"}

#: What has a name and bytes that can be read from any place.
File = Path | RemoteFile
Source = File | IO[bytes]
Kind = TypeVar("Kind", VideoStream, AudioStream)

#: Pixels of the largest frame that is read: Pillow's own limit.
MAX_PIXELS = 89_478_485


def check_readable(path: File) -> None:
    """Raise :class:`SweettokError` unless ``path`` is a file with something in it that may be read."""
    if isinstance(path, RemoteFile):
        path.check()
        return
    try:
        if path.is_dir():
            raise SweettokError(f"{path} is a folder; give the name of a video file.")
        if not path.exists():
            raise SweettokError(missing(path))
        if not path.is_file():
            raise SweettokError(f"{path} is not a regular file; save the video to a file first.")
        if not os.access(path, os.R_OK):
            raise SweettokError(f"{path} may not be read; change its permissions (chmod u+r) or copy it.")
        if path.stat().st_size == 0:
            raise SweettokError(f"{path} is empty; the copy or download that made it failed, fetch it again.")
    except OSError as error:
        raise SweettokError(
            f"{path} cannot be read ({error.strerror}); check its permissions and name."
        ) from error


def missing(path: Path) -> str:
    """The sentence for a file that is not there."""
    if path.is_symlink():
        return f"{path} is a broken link: {path.readlink()} does not exist; link it anew or fetch the file."
    return f"{path} does not exist; check the name."


def open_container(source: Source) -> InputContainer:
    """Open a file or a seekable binary stream of one.

    Nothing but the file is read: a playlist that names others is refused.

    Raises:
        SweettokError: the file is missing, empty, may not be read or is no video.
    """
    name = source_name(source)
    if isinstance(source, Path):
        check_readable(source)
        # The prefix keeps a colon in a name from being read as a protocol.
        target: Any = f"file:{source}"
    else:
        target = source.open("rb") if isinstance(source, RemoteFile) else source
    options = {"protocol_whitelist": "file"}
    try:
        container = av.open(target, options=options, metadata_errors="replace")
        if container.format.name == "image2" and isinstance(source, Path):
            # One picture, by its name; there may be more, which only shows without one.
            container.close()
            nameless = os.fdopen(os.open(source, os.O_RDONLY), "rb")
            container = av.open(nameless, options=options, metadata_errors="replace")
    except (FFmpegError, EOFError) as error:
        raise SweettokError(
            f"{name} cannot be read as a video ({reason(error)}); it is damaged, cut short or of another "
            "kind, check that it plays and fetch it again."
        ) from error
    check_container(container, name)
    return container


def check_container(container: InputContainer, name: str) -> None:
    """Close a container, and raise :class:`SweettokError`, where it is of a kind that is no video."""
    refused = _REFUSED & set(container.format.name.split(","))
    if refused:
        container.close()
        raise SweettokError(
            f"{name} is not a video but a file of kind {sorted(refused)[0]!r}; give a video file."
        )


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The best moving-picture stream; the cover picture of a sound file is none.

    Raises:
        SweettokError: there is none.
    """
    if not len(container.streams):
        raise SweettokError(
            f"{name} has no index of its frames; it is cut short or was never finished, fetch it again."
        )
    streams = [s for s in container.streams.video if not _is_cover(s, container)]
    if not streams:
        what = "holds sound but no pictures" if container.streams.audio else "holds no pictures"
        raise SweettokError(f"{name} {what}; give a file with a video stream.")
    stream = decodable(streams, container.streams.best("video"), name)
    check_pixels(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """The packets of streams, then an empty one of each; streams that begin later are passed over."""
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:  # PyAV knows the streams that there were when the file was opened
            continue


def max_pixels() -> int:
    """Pixels of the largest frame that is read: :data:`MAX_PIXELS`, or what ``SWEETTOK_MAX_PIXELS`` says."""
    try:
        return int(os.environ.get("SWEETTOK_MAX_PIXELS", MAX_PIXELS))
    except ValueError:
        return MAX_PIXELS


def check_pixels(width: int, height: int, name: str) -> None:
    """Raise :class:`SweettokError` for frames that are larger than anybody means.

    A file of a few hundred bytes can claim gigapixels.
    """
    most = max_pixels()
    if width * height > most:
        raise SweettokError(
            f"{name} has frames of {width}x{height}, more than {most / 1e6:.0f} million pixels; scale it "
            "down first, or set SWEETTOK_MAX_PIXELS to what this machine's memory takes."
        )


def decodable(streams: Sequence[Kind], best: Stream | None, name: str) -> Kind:
    """``best``, or the first of ``streams`` that the media library can decode.

    Raises:
        SweettokError: it can decode none of them.
    """
    found = [stream for stream in streams if stream.codec_context is not None]
    if found:
        return next((stream for stream in found if stream is best), found[0])
    kind, pipe, _ = streams[0].container.format.name.partition("_pipe")
    if pipe:
        raise SweettokError(
            f"{name} is a picture of kind {kind.upper()}, for which there is no decoder here; save it as PNG."
        )
    raise SweettokError(
        f"{name} holds {streams[0].type} in a codec for which there is no decoder here; "
        f"convert it to {'H.264' if streams[0].type == 'video' else 'AAC'}, for example with ffmpeg."
    )


def codec_name(stream: VideoStream | AudioStream) -> str:
    """Of what is decoded, not of the decoder (libdav1d, mp3float)."""
    context = stream.codec_context
    return str(getattr(context.codec, "canonical_name", context.name))


def _is_cover(stream: VideoStream, container: InputContainer) -> bool:
    disposition = getattr(stream, "disposition", None)
    if disposition is not None:
        return bool(int(getattr(disposition, "value", disposition)) & _ATTACHED_PICTURE)
    # PyAV 14 does not tell; a picture beside sound that lasts no time is a cover.
    silent = not container.streams.audio
    return not silent and stream.codec_context.name in _COVER_CODECS and not stream.average_rate


def source_name(source: Source) -> str:
    """How to call ``source`` in a message."""
    return str(source) if isinstance(source, File) else str(getattr(source, "name", "the given bytes"))


def length_of(file: File) -> int:
    """Bytes of a file."""
    return file.size if isinstance(file, RemoteFile) else file.stat().st_size


def reason(error: Exception) -> str:
    """What libav says, without the error number and the file's name."""
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".")


VIDEOS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv"),
        *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".ogv", ".dv", ".gif", ".y4m"),
        *(".mjpeg", ".mjpg", ".h264", ".264", ".hevc", ".h265", ".265", ".ivf", ".obu"),
    )
)
PICTURES = frozenset(
    (
        *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".jp2", ".j2k"),
        *(".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm", ".qoi", ".tga"),
    )
)
MEDIA = VIDEOS | PICTURES


def find_files(
    folder: Path,
    endings: Collection[str],
    on_error: Callable[[OSError], None] | None = None,
    others: list[Path] | None = None,
    closed: Callable[[Path], bool] | None = None,
) -> list[Path]:
    """Files in and below ``folder`` that end so, sorted; what is hidden is left out, linked folders are not.

    ``endings`` are in small letters, with their dots, such as :data:`MEDIA`. ``on_error`` is given the error
    of each folder that cannot be read; without it, that is an error. ``others`` takes the files that end
    otherwise. ``closed`` says which folders below are not entered.

    Raises:
        SweettokError: a folder cannot be read.
    """
    found: list[Path] = []
    met: set[tuple[int, int]] = set()  # links may lead back
    for parent, folders, files in os.walk(folder, onerror=on_error or _refuse, followlinks=True):
        place = Path(parent).stat()
        if (place.st_dev, place.st_ino) in met:
            folders.clear()
            continue
        met.add((place.st_dev, place.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if closed is not None:
            folders[:] = [name for name in folders if not closed(Path(parent, name))]
        for name in files:
            if not name.startswith("."):
                taken = found if Path(name).suffix.lower() in endings else others
                if taken is not None:
                    taken.append(Path(parent, name))
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise SweettokError(
        f"{error.filename} cannot be read ({error.strerror}); check its permissions."
    ) from error
