"""What a pickle would cost, told before anything reads it: its program is gone through, and not run.

A pickle can name what it made before: 250 bytes describe a tuple of tuples whose hash takes longer than the
universe has had, ten bytes ask for a memo of 4 GB, and one text of a megabyte is copied a thousand times.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
import struct

_MOST_STEPS = 10_000_000
_DEEPEST = 200  # tuples in tuples: the hash of a tuple calls itself
_LARGE_NUMBERS = 1000  # of more than 8 bytes: the hashes of many can be made alike
# What is handed from step to step, in units of 64 bytes: so many times the pickle's own size, and some.
_HANDED, _AND_SOME, _UNIT = 20, 1_000_000, 64
_OUT_OF_PROPORTION = "it would take memory and time out of proportion to its size"

_NAMES, _ARGUMENT = [""] * 256, [0] * 256  # by code: what it does, the form of its argument
for _op in pickletools.opcodes:
    _NAMES[ord(_op.code)], _ARGUMENT[ord(_op.code)] = _op.name, 0 if _op.arg is None else _op.arg.n
_TAKEN = {op.name: [taken.name for taken in op.stack_before] for op in pickletools.opcodes}
_GIVES = {op.name: bool(op.stack_after) for op in pickletools.opcodes}
#: How the length of an argument is written that states its own length.
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: "<B",
    pickletools.TAKEN_FROM_ARGUMENT4: "<i",
    pickletools.TAKEN_FROM_ARGUMENT4U: "<I",
    pickletools.TAKEN_FROM_ARGUMENT8U: "<Q",
}
_LINES = {"GLOBAL": 2, "INST": 2}  # of an argument that ends with its line, where it is more than one
_FILLED = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}  # what lies below grows
_KEPT = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_FETCHED = {"GET", "BINGET", "LONG_BINGET"}
_CALLS = {"REDUCE", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"}  # tuples are never made by one
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_NUMBERS = {"INT", "LONG", "LONG1", "LONG4"}

#: An item of the stack: its size in units, with all that it holds, and how deep tuples lie in it.
_Item = list[int]


def check_pickle(data: bytes | mmap.mmap, start: int = 0) -> int:
    """Go through the pickle that begins at ``start``, and say where it ends.

    Raises:
        pickle.UnpicklingError: it is no pickle, or would take time or memory out of proportion.
    """
    try:
        return _go_through(data, start)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise pickle.UnpicklingError("it is no whole pickle") from error


def _go_through(data: bytes | mmap.mmap, start: int) -> int:
    stack: list[_Item] = []
    marks: list[int] = []
    memo: dict[int, _Item] = {}
    steps = handed = large = 0
    place = start
    while True:
        code = data[place]
        name, steps = _NAMES[code], steps + 1
        argument = place + 1
        place = _after_argument(data, argument, name, _ARGUMENT[code])
        if name == "STOP":
            return place
        if name in _KEPT:
            number = len(memo) if name == "MEMOIZE" else _number(data, argument, place, name)
            if number > steps:
                raise pickle.UnpicklingError(f"it asks for {number} places in memory")
            memo[number] = stack[-1]
        elif name in _FETCHED:
            stack.append(memo[_number(data, argument, place, name)])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "POP" and marks and marks[-1] == len(stack):
            marks.pop()
        elif not _TAKEN[name]:
            if _GIVES[name]:
                stack.append([1 + (place - argument) // _UNIT, 0])
                large += name in _NUMBERS and place - argument > 9
                if large > _LARGE_NUMBERS:
                    raise pickle.UnpicklingError(_OUT_OF_PROPORTION)
        else:
            taken = _take(name, stack, marks)
            filled = name in _FILLED
            size = sum([item[0] for item in taken]) - (taken[0][0] if filled else 0)
            handed += size
            if handed > _HANDED * (steps + (place - start) // _UNIT) + _AND_SOME or steps > _MOST_STEPS:
                raise pickle.UnpicklingError(_OUT_OF_PROPORTION)
            if filled:
                taken[0][0] += size
                stack.append(taken[0])
            elif name in _TUPLES:
                depth = 1 + max([item[1] for item in taken], default=0)
                if depth > _DEEPEST:
                    raise pickle.UnpicklingError("it is nested too deeply")
                stack.append([1 + size, depth])
            elif _GIVES[name]:
                stack.append([1 if name in _CALLS else 1 + size, 0])


def _after_argument(data: bytes | mmap.mmap, place: int, name: str, kind: int) -> int:
    if kind == pickletools.UP_TO_NEWLINE:
        for _ in range(_LINES.get(name, 1)):
            place = data.index(b"\n", place) + 1 if isinstance(data, bytes) else _line(data, place)
        return place
    if kind in _LENGTHS:
        form = _LENGTHS[kind]
        head = struct.calcsize(form)
        (length,) = struct.unpack(form, data[place : place + head])
        kind = head + length
    if kind < 0 or place + kind > len(data):
        raise ValueError("cut off")
    return place + kind


def _line(data: mmap.mmap, place: int) -> int:
    found = data.find(b"\n", place)
    if found < 0:
        raise ValueError("cut off")
    return found + 1


def _number(data: bytes | mmap.mmap, start: int, end: int, name: str) -> int:
    """A place in the memo."""
    written = data[start:end]
    return int(written[:20]) if name in ("PUT", "GET") else int.from_bytes(written, "little")


def _take(name: str, stack: list[_Item], marks: list[int]) -> list[_Item]:
    """What an operation takes from the stack, lowest first."""
    names = _TAKEN[name]
    # A container below the mark is filled; the class of OBJ lies above it.
    start = marks.pop() - names.index("mark") if "mark" in names else len(stack) - len(names)
    if start < (marks[-1] if marks else 0):
        raise IndexError("nothing left to take")
    taken = stack[start:]
    del stack[start:]
    return taken
