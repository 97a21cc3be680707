"""The token prior: what the tokens of a model are like before a file has told anything.

One safetensors file in the model's folder: for each column of symbols how often each came, and how often what
was nearby came again, counted over many token files. A packed file names the prior that it was packed with by
the SHA-256 of its bytes, and cannot be unpacked without.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sweettok_cli.errors import SweettokError
from sweettok_cli.files import atomic_output, is_file, open_regular, sha256_file
from sweettok_cli.packing.columns import CONTEXTS, MOST_CASES, Cases, Start
from sweettok_cli.packing.counts import CONTEXTS as COUNT_CONTEXTS
from sweettok_cli.packing.counts import CountModel, CountStart
from sweettok_cli.packing.frequencies import GAIN, LIMIT
from sweettok_cli.packing.layers import ColumnKind, Rows, columns_of, layers_of, planes_in, symbols_of
from sweettok_cli.packing.planes import ArrayModel, Known
from sweettok_cli.tokens.description import check_match
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.limits import MAX_LEVELS
from sweettok_cli.tokens.meta import TokenMeta, Tokens
from sweettok_cli.tokens.ragged import counts_name

PRIOR_FILE = "prior.safetensors"
FORMAT, VERSION = "sweettok-token-prior", 1
MAKE_AGAIN = "make it again with `sweettok models prior`"

_MOST_BYTES = 64 << 20
#: How many symbols of a file the counts of a prior weigh as much as.
_STRENGTH = 2000
_CASES = ("hits", "misses")
_PARTS = ("counts", *_CASES)
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
        starts: of each model of words, one a column of symbols.
        content: the bytes of its file.
        levels: tokens that a position has at most, of the arrays where that varies.
        counts: of the arrays that say how many each has.
    """

    weights_sha256: str
    codebooks: Mapping[str, tuple[int, ...]]
    starts: Mapping[str, tuple[Start, ...]]
    content: bytes
    levels: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, CountStart] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """By which packed files name it, lower-case hex."""
        return hashlib.sha256(self.content).hexdigest()

    def check_fits(self, meta: TokenMeta) -> None:
        """Raise :class:`TokenFault` unless it is about the codebooks of the tokens ``meta`` describes.

        Of a model with levels it is also about those of tokens without.
        """
        books, levels = dict(self.codebooks), dict(self.levels)
        if levels and not meta.levels:
            books, levels = {name: book for name, book in books.items() if name in meta.codebooks}, {}
        if (books, levels) != (dict(meta.codebooks), dict(meta.levels)):
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
        arrays, (digest, codebooks, levels) = load(content), _read_header(content)
        columns = columns_of(codebooks, levels)
        starts = {name: _read_starts(arrays, name, each) for name, each in columns.items()}
        counts = {
            name: CountStart(*_read_cases(arrays, name, COUNT_CONTEXTS)) for name in map(counts_name, levels)
        }
        if len(arrays) != sum(map(len, starts.values())) * len(_PARTS) + len(counts) * len(_CASES):
            raise ValueError("it holds other arrays too")
    except OSError as error:
        raise SweettokError(f"Cannot read the prior {path} ({error.strerror or error}).") from error
    # KeyError: an array is missing, or of a format that NumPy has not.
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise SweettokError(f"{path} is no token prior ({error}); {MAKE_AGAIN}.") from error
    return TokenPrior(digest, codebooks, starts, content, levels, counts)


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


def prior_of_model(folder: Path | None, model: str) -> Callable[[TokenMeta, str], TokenPrior]:
    """Gives the token prior in the one model's folder, for a file's description and the prior's SHA-256.

    What it gives raises :class:`TokenFault` where that model, called ``model``, has another or none.
    """

    def find(meta: TokenMeta, sha256: str) -> TokenPrior:
        prior = find_prior([folder], sha256)
        if prior is None:
            raise TokenFault(
                f"was packed with the token prior {sha256[:12]} of {meta.model}, and {model} has another or "
                "none",
                "decode it with the model that has it, or unpack the file where it was packed",
            )
        return prior

    return find


def prior_in(folder: Path) -> TokenPrior | None:
    """The token prior in a model's folder, if it has one.

    Raises:
        SweettokError: as :func:`read_prior`.
    """
    path = folder / PRIOR_FILE
    return read_prior(path) if is_file(path) else None


def _read_header(content: bytes) -> tuple[str, dict[str, tuple[int, ...]], dict[str, int]]:
    """SHA-256 of the weights, codebooks and levels; the library has checked where the header ends."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    said = json.loads(header["__metadata__"][FORMAT])
    if said["version"] != VERSION:
        raise ValueError(f"version {said['version']!r:.20}, this program reads {VERSION}")
    codebooks = {str(name): tuple(int(size) for size in sizes) for name, sizes in said["codebooks"].items()}
    sizes = [size for each in codebooks.values() for size in each]
    if len(sizes) > _MOST_CODEBOOKS or not all(1 <= size <= 1 << 32 for size in sizes):
        raise ValueError("impossible codebooks")
    levels = {str(name): int(most) for name, most in said.get("levels", {}).items()}
    if not levels.keys() <= codebooks.keys() or not all(1 <= most <= MAX_LEVELS for most in levels.values()):
        raise ValueError("impossible levels")
    return str(said["weights_sha256"]), codebooks, levels


def _read_starts(
    arrays: Mapping[str, np.ndarray], name: str, columns: Iterable[ColumnKind]
) -> tuple[Start, ...]:
    starts = []
    for place, column in enumerate(columns):
        counts = _read_whole(arrays, f"{name}.{place}.counts", column.symbols)
        if int(counts.sum(dtype=np.int64)) > LIMIT:
            raise ValueError(f"counts of column {place} of {name} that are too large")
        starts.append(Start(counts, *_read_cases(arrays, f"{name}.{place}", CONTEXTS)))
    return tuple(starts)


def _read_cases(arrays: Mapping[str, np.ndarray], name: str, contexts: int) -> list[np.ndarray]:
    return [_read_whole(arrays, f"{name}.{part}", contexts) for part in _CASES]


def _read_whole(arrays: Mapping[str, np.ndarray], name: str, size: int) -> np.ndarray:
    array = arrays[name]
    if array.shape != (size,) or array.dtype != np.dtype(_WHOLE) or not array.all():
        raise ValueError(f"impossible numbers {name}")
    return array


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
        columns = columns_of(self._codebooks, spec.levels)
        self._counts = {
            name: [np.zeros(each.symbols, np.int64) for each in columns[name]] for name in columns
        }
        self._models = {
            name: ArrayModel(
                [Start.unknowing(each.symbols) for each in kinds],
                [each.shared for each in kinds],
                _LANES,
                forget=False,
            )
            for name, kinds in columns.items()
        }
        self._count_models = {
            counts_name(name): CountModel(CountStart.unknowing(), most, _LANES, forget=False)
            for name, most in spec.levels.items()
        }

    def add(self, tokens: Tokens, file: str) -> None:
        """Count one more file; ``file`` is its name in messages.

        Raises:
            SweettokError: it was encoded with other weights than the model's.
        """
        meta, arrays, coder, rows = tokens.meta, tokens.arrays, Known(), Rows()
        check_match(meta, self._spec, file)
        layers = layers_of(meta)
        for layer in layers:
            if layer.most:
                self._count_models[layer.model].restart(layer.planes)
                continue
            values = arrays[layer.array] if layer.level else layer.planes_of(arrays[layer.array])
            self._models[layer.model].restart(layer.rises(layer.split(values)))
        for layer, place, present in planes_in(layers, arrays, 0, meta.clips):
            coder.plane = symbols_of(layer, arrays, place, present, rows)
            if layer.most:
                self._count_models[layer.model].code(coder, layer.height, layer.width)
                continue
            self._models[layer.model].code(coder, layer.height, layer.width, present, layer.level)
            symbols = coder.plane if present is None else coder.plane[present]
            for column, counts in enumerate(self._counts[layer.model]):
                # A column that shares its symbols with the one before counts what came in either.
                for place in range(column - layer.columns[column].shared, column + 1):
                    counts += np.bincount(symbols[:, place], minlength=len(counts))

    def prior(self) -> TokenPrior:
        """What was counted so far."""
        from safetensors.numpy import save

        starts: dict[str, tuple[Start, ...]] = {}
        arrays: dict[str, np.ndarray] = {}
        sparse = bool(self._spec.levels)  # of late levels hardly any token comes
        for name, model in self._models.items():
            found = []
            for place, cases in enumerate(model.cases()):
                found.append(Start(_scaled(self._counts[name][place], sparse), *_bounded(cases)))
                arrays |= {f"{name}.{place}.{part}": getattr(found[-1], part) for part in _PARTS}
            starts[name] = tuple(found)
        counts = {name: CountStart(*_bounded(model.cases)) for name, model in self._count_models.items()}
        for name, start in counts.items():
            arrays |= {f"{name}.{part}": getattr(start, part) for part in _CASES}
        levels = dict(self._spec.levels)
        said = {
            "version": VERSION,
            "weights_sha256": self._spec.weights_sha256,
            "codebooks": {name: list(sizes) for name, sizes in self._codebooks.items()},
            **({"levels": levels} if levels else {}),
        }
        # One entry: the library writes several in any order.
        content = save(arrays, metadata={FORMAT: json.dumps(said)})
        return TokenPrior(self._spec.weights_sha256, self._codebooks, starts, content, levels, counts)


def _scaled(counts: np.ndarray, sparse: bool) -> np.ndarray:
    """Counts as if so many symbols had come as a prior weighs, each at least 1: uint16.

    ``sparse``: so few came that many others may: each symbol counts as if it had come half a time more, and
    all together weigh no more than those that came.
    """
    whole, more = int(counts.sum()), int(sparse)
    strength = min(_STRENGTH, whole) if sparse else _STRENGTH
    scaled = (2 * counts + more) * (strength * GAIN) // max(1, 2 * whole + more * len(counts))
    return np.minimum(1 + scaled, np.iinfo(np.uint16).max).astype(_WHOLE)


def _bounded(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """The same odds of at most :data:`MOST_CASES` cases: uint16."""
    together = np.maximum(cases.hits + cases.misses, MOST_CASES)
    return tuple(
        np.maximum(each * MOST_CASES // together, 1).astype(_WHOLE) for each in (cases.hits, cases.misses)
    )
