"""Which part of its source a token file is of, as its description spells it."""

from __future__ import annotations

from typing import Any

from sweettok_cli.errors import WrongUsage
from sweettok_cli.tokens import values
from sweettok_cli.tokens.fault import UPDATE, TokenFault
from sweettok_cli.video.selection import Selection

_RATIOS = ("start", "end", "fps")


def write_selection(selection: Selection) -> dict[str, Any]:
    """What is not as by default, as JSON can hold it; :func:`read_selection` gives back an equal one."""
    record = selection.to_record()
    return {name: values.spelt_ratio(each) if name in _RATIOS else each for name, each in record.items()}


def read_selection(record: Any) -> Selection:
    """What :func:`write_selection` wrote; anything else raises :class:`TokenFault`."""
    if not isinstance(record, dict):
        raise TokenFault("has no usable selection")
    ratios = {name: values.parse_ratio(name, record[name]) for name in _RATIOS if name in record}
    try:
        return Selection(**{**record, **ratios})
    except TypeError as error:
        raise TokenFault("selects frames in a way that is unknown", UPDATE) from error
    except WrongUsage as error:
        raise TokenFault("says that frames were selected in a way that cannot be") from error
