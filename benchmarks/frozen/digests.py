"""What stands for files, arrays and pixels in a record."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import numpy as np


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> dict[str, Any]:
    """Of a file as it is; of a safetensors file its tensors."""
    if path.suffix == ".safetensors":
        return tensors_digest(path)
    return {"sha256": sha256(path.read_bytes())}


def array_facts(array: np.ndarray) -> dict[str, Any]:
    """Type, shape and digest."""
    digest = sha256(np.ascontiguousarray(array).tobytes())
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": digest}


def video_facts(path: Path) -> dict[str, Any]:
    """Frames, size, rate, times, sound and the digest of the pixels."""
    digest, count, times, shape = hashlib.sha256(), 0, [], ()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        facts = {"rate": str(stream.average_rate), "codec": stream.codec_context.name}
        facts["sound"] = [one.codec_context.name for one in container.streams.audio]
        for frame in container.decode(stream):
            rgb = frame.to_ndarray(format="rgb24")
            digest.update(rgb.tobytes())
            count, shape = count + 1, rgb.shape
            times.append(None if frame.time is None else round(frame.time, 6))
    spread = sha256(json.dumps(times).encode())
    return {**facts, "frames": count, "shape": list(shape), "times": spread, "sha256": digest.hexdigest()}


def tensors_digest(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name, without the file's own notes."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(header):
        tensor = header[name]
        begin, end = tensor["data_offsets"]
        digest.update(f"{name} {tensor['dtype']} {tensor['shape']}\n".encode())
        digest.update(content[8 + length + begin : 8 + length + end])
    return {"tensors": len(header), "sha256": digest.hexdigest()}
