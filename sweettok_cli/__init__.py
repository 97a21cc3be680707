"""sweettok: video to discrete tokens and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweettok_cli.runtime import __version__

if TYPE_CHECKING:
    from sweettok_cli.zoo.load import load as load

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # Torch takes seconds to import; a plain `import sweettok_cli` must not pay for it.
    if name == "load":
        from sweettok_cli.zoo.load import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
