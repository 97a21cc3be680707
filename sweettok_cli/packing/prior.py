"""The token prior: what the tokens of a model are like before a file has told anything.

One safetensors file in the model's folder: for each column of symbols how often each came, and how often what
was nearby came again, counted over many token files. A packed file names the prior that it was packed with by
the SHA-256 of its bytes, and cannot be unpacked without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, is_file, open_regular, sha256_file
from sweettok_cli.packing.chunks import ChunkCoder, Rows
from sweettok_cli.packing.columns import CONTEXTS, MOST_CASES, Start
from sweettok_cli.packing.frequencies import GAIN, LIMIT
from sweettok_cli.packing.planes import ArrayModel, Known
from sweettok_cli.packing.tracks import ColumnKind, Track, column_kinds
from sweettok_cli.tokens.description import check_match
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import TokenMeta, Tokens

PRIOR_FILE = "prior.safetensors"
FORMAT, VERSION = "sweettok-token-prior", 1
MAKE_AGAIN = "make it again with `sweettok models prior`"

_MOST_BYTES = 64 << 20
#: How many symbols of a file the counts of a prior weigh as much as.
_STRENGTH = 2000
_PARTS = ("counts", "hits", "misses")
_WHOLE = "<u2"
_MOST_CODEBOOKS = 64
# Cells that are coded together, as in clips of 256x256.
_LANES = 16


@dataclass(frozen=True)
class TokenPrior:
    """What the models of all columns begin with.

    Attributes:
        weights_sha256: of the model whose tokens were counted.
        codebooks: sizes of that model's codebooks, as in token files.
        starts: of each model (:attr:`~sweettok_cli.packing.tracks.Track.model`), one a column of symbols.
        content: the bytes of its file.
    """

    weights_sha256: str
    codebooks: Mapping[str, tuple[int, ...]]
    starts: Mapping[str, tuple[Start, ...]]
    content: bytes

    @property
    def sha256(self) -> str:
        """By which packed files name it, lower-case hex."""
        return hashlib.sha256(self.content).hexdigest()

    def check_fits(self, meta: TokenMeta) -> None:
        """Raise :class:`TokenFault` unless it is about the codebooks of the tokens ``meta`` describes."""
        if any(self.codebooks.get(name) != sizes for name, sizes in meta.codebooks.items()):
            raise TokenFault("was packed with the prior of other codebooks", "pack it again")

    def write(self, path: Path, force: bool = False) -> None:
        """Write it, whole or not at all.

        Raises:
            SweettokError: the file exists without ``force``, or cannot be written.
        """
        with atomic_output(path, force) as part:
            part.write_bytes(self.content)


def read_prior(path: Path) -> TokenPrior:
    """Read and check a prior.

    Raises:
        SweettokError: it cannot be read, or is none.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with open_regular(path) as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"longer than {_MOST_BYTES >> 20} MiB")
        arrays, (digest, codebooks) = load(content), _read_header(content)
        names = sorted({key.rsplit(".", 2)[0] for key in arrays})
        kinds = {name: column_kinds(codebooks[name.partition(".")[0]])[0] for name in names}
        starts = {name: _read_starts(arrays, name, kinds[name]) for name in names}
        if len(arrays) != sum(map(len, starts.values())) * len(_PARTS):
            raise ValueError("it holds other arrays too")
    except OSError as error:
        raise SweettokError(f"Cannot read the prior {path} ({error.strerror or error}).") from error
    # KeyError: an array is missing, or of a format that NumPy has not.
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SweettokError(f"{path} is no token prior ({error}); {MAKE_AGAIN}.") from error
    return TokenPrior(digest, codebooks, starts, content)


def find_prior(folders: Iterable[Path | None], sha256: str) -> TokenPrior | None:
    """The token prior of that SHA-256, if one of the models' ``folders`` holds it; None among them is none.

    Raises:
        SweettokError: as :func:`read_prior`.
    """
    for folder in dict.fromkeys(folders):
        with suppress(OSError):  # a model that cannot be read does not hide the others
            if folder is not None and sha256_file(folder / PRIOR_FILE) == sha256:
                return read_prior(folder / PRIOR_FILE)
    return None


def prior_in(folder: Path) -> TokenPrior | None:
    """The token prior in a model's folder, if it has one.

    Raises:
        SweettokError: as :func:`read_prior`.
    """
    path = folder / PRIOR_FILE
    return read_prior(path) if is_file(path) else None


def _read_header(content: bytes) -> tuple[str, dict[str, tuple[int, ...]]]:
    """SHA-256 of the weights and the codebooks; the library has checked where the header ends."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    said = json.loads(header["__metadata__"][FORMAT])
    if said["version"] != VERSION:
        raise ValueError(f"version {said['version']!r:.20}, this program reads {VERSION}")
    codebooks = {str(name): tuple(int(size) for size in sizes) for name, sizes in said["codebooks"].items()}
    sizes = [size for each in codebooks.values() for size in each]
    if len(sizes) > _MOST_CODEBOOKS or not all(1 <= size <= 1 << 32 for size in sizes):
        raise ValueError("impossible codebooks")
    return str(said["weights_sha256"]), codebooks


def _read_starts(
    arrays: Mapping[str, np.ndarray], name: str, columns: Iterable[ColumnKind]
) -> tuple[Start, ...]:
    starts = []
    for place, column in enumerate(columns):
        parts = [arrays[f"{name}.{place}.{part}"] for part in _PARTS]
        for part, size in zip(parts, (column.symbols, CONTEXTS, CONTEXTS), strict=True):
            if part.shape != (size,) or part.dtype != np.dtype(_WHOLE) or not part.all():
                raise ValueError(f"impossible counts of column {place} of {name}")
        if int(parts[0].sum(dtype=np.int64)) > LIMIT:
            raise ValueError(f"counts of column {place} of {name} that are too large")
        starts.append(Start(*parts))
    return tuple(starts)


class PriorLearner:
    """Counts token files of one model."""

    def __init__(self, spec: TokenizerSpec) -> None:
        """Know the model.

        Raises:
            SweettokError: its latents are continuous.
        """
        if not spec.codebooks:
            raise SweettokError(f"{spec.name} has continuous latents, of which no token prior is made.")
        self._spec = spec
        self._codebooks = {name: tuple(sizes) for name, sizes in spec.codebooks.items()}
        self._counts: dict[str, list[np.ndarray]] = {}
        self._models: dict[str, ArrayModel] = {}

    def add(self, tokens: Tokens, file: str) -> None:
        """Count one more file; ``file`` is its name in messages.

        Raises:
            SweettokError: it was encoded with other weights than the model's.
        """
        check_match(tokens.meta, self._spec, file)
        chunks, rows = ChunkCoder(tokens.meta, {}), Rows()
        for number in range(len(chunks)):
            rising, begun = chunks.rising(tokens.arrays, number, rows), set[str]()
            for track, plane, present in chunks.planes(tokens.arrays, number, rows):
                if track.array in self._codebooks:
                    model = self._model(track)
                    if track.model not in begun:
                        model.restart(track.array in rising)
                        begun.add(track.model)
                    model.code(Known(plane), track.height, track.width, present)
                    self._count(track, plane if present is None else plane[present])

    def _model(self, track: Track) -> ArrayModel:
        if track.model not in self._models:
            starts = [Start.unknowing(each.symbols) for each in track.columns]
            shared = [each.shared for each in track.columns]
            self._models[track.model] = ArrayModel(starts, shared, _LANES, forget=False)
            self._counts[track.model] = [np.zeros(each.symbols, np.int64) for each in track.columns]
        return self._models[track.model]

    def _count(self, track: Track, symbols: np.ndarray) -> None:
        for place, counts in enumerate(self._counts[track.model]):
            # A column that shares its symbols with the one before counts what came in either.
            for column in range(place - track.columns[place].shared, place + 1):
                counts += np.bincount(symbols[:, column], minlength=len(counts))

    def prior(self) -> TokenPrior:
        """What was counted so far."""
        from safetensors.numpy import save

        starts: dict[str, tuple[Start, ...]] = {}
        arrays: dict[str, np.ndarray] = {}
        for name, model in sorted(self._models.items()):
            found = []
            for place, (hits, misses) in enumerate(model.cases()):
                found.append(Start(_scaled(self._counts[name][place]), *_bounded(hits, misses)))
                arrays |= {f"{name}.{place}.{part}": getattr(found[-1], part) for part in _PARTS}
            starts[name] = tuple(found)
        said = {
            "version": VERSION,
            "weights_sha256": self._spec.weights_sha256,
            "codebooks": {name: list(sizes) for name, sizes in self._codebooks.items()},
        }
        # One entry: the library writes several in any order.
        content = save(arrays, metadata={FORMAT: json.dumps(said)})
        return TokenPrior(self._spec.weights_sha256, self._codebooks, starts, content)


def _scaled(counts: np.ndarray) -> np.ndarray:
    """Counts as if so many symbols had come as a prior weighs, each at least 1: uint16."""
    whole = max(1, int(counts.sum()))
    return np.minimum(1 + counts * (_STRENGTH * GAIN) // whole, np.iinfo(np.uint16).max).astype(_WHOLE)


def _bounded(hits: np.ndarray, misses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same odds of at most :data:`MOST_CASES` cases: uint16."""
    together = np.maximum(hits + misses, MOST_CASES)
    return tuple(np.maximum(cases * MOST_CASES // together, 1).astype(_WHOLE) for cases in (hits, misses))
