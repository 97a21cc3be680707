"""A record against another."""

from __future__ import annotations

import json
import re
from typing import Any


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """A line an entry that is not the same."""
    lines = []
    for section in before | now:
        old, new = before.get(section, {}), now.get(section, {})
        for name in sorted(old | new):
            if name not in new:
                lines.append(f"{section}: {name}: missing now")
            elif name not in old:
                lines.append(f"{section}: {name}: was not there before")
            elif old[name] != new[name]:
                lines.append(f"{section}: {name}: {short(old[name])} -> {short(new[name])}")
    return lines


def short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text[:300]
