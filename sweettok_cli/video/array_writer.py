"""Decoded frames as a plain array: every pixel as the model gave it, before any video codec."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sweettok_cli.files import atomic_output


@contextmanager
def array_writer(
    path: Path, shape: tuple[int, ...], force: bool = False
) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield what takes the frames of a ``.npy`` file one after the other; whole once the block ends.

    Memory holds one frame. ``numpy.load(path, mmap_mode="r")`` reads it in the same way.

    Args:
        path: to write.
        shape: of the array: ``(t, h, w, 3)``, or ``(h, w, 3)`` for one image.
        force: replace an existing file.

    Raises:
        SweettokError: the file exists or cannot be written.
        ValueError: fewer or more frames came than ``shape`` says.
    """
    frames = shape if len(shape) == 4 else (1, *shape)
    with atomic_output(path, force) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        rows = array.reshape(frames)
        done = 0

        def write(frame: np.ndarray) -> None:
            nonlocal done
            if done == len(rows):
                raise ValueError(f"more than {len(rows)} frames")
            rows[done] = frame
            done += 1

        yield write
        if done < len(rows):
            raise ValueError(f"{done} frames instead of {len(rows)}")
        array.flush()
