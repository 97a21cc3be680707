"""Reads pickles that hold plain data, and nothing else: a pickle is a program, and this runs none of it.

What a pickle may ask for is in one table. Behind every name stands a function of this file, not what the name
means elsewhere: containers become dict, list, tuple and set, tensors and arrays are built here from checked
bytes. Any other name ends the reading before it is looked up.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import open_regular
from sweettok_cli.storage.pickle_bounds import check_pickle
from sweettok_cli.storage.torch_file import (
    DAMAGE,
    TORCH_MAGIC,
    RefusedError,
    load_torch,
    mapped_bytes,
    starts_as,
)

_NUMBERS = re.compile(r"[|<>=]?(?:b1|[iuf][1248]|[SU]\d{1,4})")
# What tensors may take: so many times the file, and some bytes. Views of one storage can ask for far more.
_TIMES, _AND_SOME = 4, 64 << 20
_LEFT: ContextVar[int] = ContextVar("bytes that tensors may still take")


def read_plain_pickle(path: Path) -> Any:
    """The data in a pickle, or in a file of ``torch.save``.

    That is dict, list, tuple, set, str, bytes, numbers, None, tensors (on the CPU) and arrays of numbers;
    ``OrderedDict``, ``defaultdict`` and ``Counter`` come as dict in the same order.

    Raises:
        SweettokError: the file asks for anything else, which is named and was not run; or it is no pickle.
    """
    try:
        with open_regular(path) as stream:
            if starts_as(stream) == "archive":
                return load_torch(path)
            with mapped_bytes(stream) as content:
                check_pickle(content)
            _LEFT.set(_TIMES * path.stat().st_size + _AND_SOME)
            data = _PlainUnpickler(stream).load()
            return load_torch(path) if isinstance(data, int) and data == TORCH_MAGIC else unwrapped(data)
    except RefusedError as error:
        raise SweettokError(
            f"{path} asks for {error.name}, which is no plain data; nothing in it was run. Only dicts, "
            "lists, text, numbers, tensors and arrays are read from pickles: save it again with these alone."
        ) from error
    except DAMAGE as error:
        raise SweettokError(
            f"{path} cannot be read as a pickle ({' '.join(str(error).split())[:100]}); fetch it again."
        ) from error
    except OSError as error:
        raise SweettokError(f"Cannot read {path} ({error.strerror or error}).") from error


class _Global:
    """What a permitted name stands for: it can be called, and not be changed."""

    __slots__ = ("_call", "name")
    _call: Callable[..., Any]
    name: str

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "_call", call)

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setattr__(self, attribute: str, value: object) -> NoReturn:
        raise RefusedError(f"a change of {self.name}")

    def __setstate__(self, state: object) -> NoReturn:
        raise RefusedError(f"a change of {self.name}")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _GLOBALS.get((_MODULES.get(module, module), name))
        if found is None:
            raise RefusedError(f"{module}.{name}"[:200])
        return found

    def persistent_load(self, pid: object) -> NoReturn:
        raise RefusedError(f"an object from outside ({brief(pid)})")


# Numpy and Python renamed some modules; older pickles know the older names.
_MODULES = {
    "__builtin__": "builtins",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}


class _Format:
    """The number format of an array, from its pickled form."""

    def __init__(self, code: object, *_flags: object) -> None:
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            raise RefusedError(f"numpy arrays of {brief(code)}")
        self.code = code

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), str(order), None, None, None, *_) if order in ("<", ">", "|", "="):
                self.code = order + self.code.lstrip("<>|=")
            case _:
                raise RefusedError("numpy arrays of records")

    def read(self, content: object) -> np.ndarray:
        """The numbers in ``content``, copied, in one row."""
        content = content.encode("latin-1") if isinstance(content, str) else content
        if not isinstance(content, bytes | bytearray):
            raise RefusedError("numpy arrays of objects")
        return np.frombuffer(content, dtype=np.dtype(self.code)).copy()


class _Array:
    """An array that is filled later, as pickles of protocol 4 and before do it."""

    value: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), shape, _Format() as form, bool(fortran), content):
                self.value = form.read(content).reshape(_sizes(shape), order="F" if fortran else "C")
            case _:
                raise RefusedError("a numpy array of an unknown form")


def unwrapped(value: Any) -> Any:
    """An array as itself: pickles of older protocols leave it in a box."""
    return value.value if isinstance(value, _Array) else value


def _empty_array(kind: object, *_rest: object) -> _Array:
    if kind is not _GLOBALS["numpy", "ndarray"]:
        raise RefusedError("an array of an unknown class")
    return _Array()


def _array_from_buffer(content: object, form: object, shape: object, order: object) -> np.ndarray:
    if not isinstance(form, _Format) or order not in ("C", "F"):
        raise RefusedError("a numpy array of an unknown form")
    return form.read(content).reshape(_sizes(shape), order="F" if order == "F" else "C")


def _number(form: object, content: object = b"") -> Any:
    if not isinstance(form, _Format):
        raise RefusedError("a numpy number of an unknown form")
    return form.read(content).reshape(()).item()


def _storage(content: object) -> Any:
    # Nested in the pickle of a tensor lies a file of torch.save, a pickle of its own.
    if not isinstance(content, bytes):
        raise RefusedError("a tensor without bytes")
    return load_torch(io.BytesIO(content))


def _tensor(storage: object, offset: object, size: object, stride: object, *_rest: object) -> Tensor:
    if not isinstance(storage, torch.storage.TypedStorage):
        raise RefusedError("a tensor without a storage")
    sizes, strides = _sizes(size), _sizes(stride)
    (start,) = _sizes((offset,))
    content = storage._untyped_storage
    length = content.nbytes() // storage.dtype.itemsize
    last = start + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if 0 in sizes:
        return torch.empty(sizes, dtype=storage.dtype)
    if last >= length or math.prod(sizes) > length:
        raise RefusedError("a tensor larger than its bytes")
    left = _LEFT.get() - math.prod(sizes) * storage.dtype.itemsize
    if left < 0:
        raise RefusedError("tensors that are larger than their file")
    _LEFT.set(left)
    row = torch.tensor([], dtype=storage.dtype).set_(content, 0, [length], [1])
    # A copy: vectors that were cut out of a larger tensor bring all of it along.
    return row.as_strided(sizes, strides, start).clone()


def _parameter(tensor: object, *_rest: object) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise RefusedError("a parameter without a tensor")
    return tensor


def _sizes(value: object) -> list[int]:
    if isinstance(value, tuple | list) and len(value) <= 32 and all(type(n) is int and n >= 0 for n in value):
        return list(value)
    raise RefusedError(f"a shape of {brief(value)}")


def _bytes(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("_codecs.encode of something else than bytes")
    return text.encode("latin-1")


def _container(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    def build(content: object = ()) -> Any:
        if not isinstance(content, dict | list | tuple | set | frozenset):
            raise RefusedError(f"a container of {type(content).__name__}")
        return kind(content)

    return build


def _never(*_args: object) -> NoReturn:
    raise RefusedError("a value of a class that may only be named")


_ENTRIES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    *(("builtins", kind.__name__, _container(kind)) for kind in (dict, list, set, frozenset)),
    # What a defaultdict makes new values with.
    *(("builtins", kind, _never) for kind in ("int", "long", "float", "str", "bool")),
    ("builtins", "bytes", lambda: b""),  # how older protocols write it
    ("collections", "OrderedDict", _container(dict)),
    ("collections", "Counter", _container(dict)),
    ("collections", "defaultdict", lambda _factory=None, content=(): _container(dict)(content)),
    ("_codecs", "encode", _bytes),
    ("numpy", "ndarray", _never),
    ("numpy", "dtype", _Format),
    ("numpy._core.multiarray", "_reconstruct", _empty_array),
    ("numpy._core.multiarray", "scalar", _number),
    ("numpy._core.numeric", "_frombuffer", _array_from_buffer),
    ("torch.storage", "_load_from_bytes", _storage),
    ("torch._utils", "_rebuild_tensor", _tensor),
    ("torch._utils", "_rebuild_tensor_v2", _tensor),
    ("torch._utils", "_rebuild_parameter", _parameter),
)
_GLOBALS = {(module, name): _Global(f"{module}.{name}", call) for module, name, call in _ENTRIES}
