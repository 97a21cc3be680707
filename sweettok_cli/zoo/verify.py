"""Whether a model on this machine is whole: its files, their digests, their structure."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import open_regular, sha256_file
from sweettok_cli.models.registry import FAMILIES
from sweettok_cli.packing.prior import prior_in
from sweettok_cli.storage.model_folder import CONFIG_FILE, WEIGHTS_FILE, ModelFolder, ModelHeader

_LONGEST_HEADER = 100_000_000  # bytes; the format's own limit


@dataclass(frozen=True)
class Checked:
    """A whole model folder: how many tensors its weights file holds, and the bytes of all its files."""

    header: ModelHeader
    tensors: int
    bytes: int


def check_folder(folder: Path) -> Checked:
    """Read a model folder through, without building the model.

    Raises:
        SweettokError: what is wrong with it; the sentence ends with what is known, not with a remedy.
    """
    model = ModelFolder(folder)
    header = model.header
    try:
        tensors = _tensors(header.weights)
        digest = sha256_file(header.weights)
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise SweettokError(f"{header.weights} cannot be read ({error.strerror or error})") from error
    if digest != header.weights_sha256:
        raise SweettokError(
            f"{header.weights} is damaged or of another model: its SHA-256 is {digest[:16]}..., "
            f"{CONFIG_FILE} names {header.weights_sha256[:16]}..."
        )
    family = FAMILIES.get(header.family)
    if family is not None and family.words is not None:
        family.words(model)
    prior_in(folder)
    return Checked(header, tensors, size)


def _tensors(path: Path) -> int:
    """The number of tensors in a safetensors file whose header is sound: it fills the file without gaps."""
    total = path.stat().st_size
    with open_regular(path) as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(total - 8, _LONGEST_HEADER):
            raise SweettokError(f"{path} is no {WEIGHTS_FILE}: it has no header of that format")
        text = stream.read(length)
    try:
        table = json.loads(text)
        spans = sorted(
            tuple(entry["data_offsets"]) for name, entry in table.items() if name != "__metadata__"
        )
        ends = [0, *(end for _, end in spans)]
        starts = [*(begin for begin, _ in spans), total - 8 - length]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SweettokError(f"{path} has a header that cannot be read ({error})") from error
    if ends != starts:
        raise SweettokError(
            f"{path} is cut off or has gaps: {total:,} bytes are not what its header describes"
        )
    return len(spans)
