"""sweettok: video to discrete tokens and back.

    import sweettok

    tokenizer = sweettok.load("sweettok-small")
    tokens = tokenizer.encode("clip.mp4")
    video = tokenizer.decode(tokens)

``import sweettok`` and ``import sweettok_cli`` are the same package. What it offers is imported when it is
first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sweettok_cli.runtime import __version__

if TYPE_CHECKING:
    from sweettok_cli.errors import SweettokError as SweettokError
    from sweettok_cli.generation.generator import load_generator as load_generator
    from sweettok_cli.generation.sampling import Drawing as Drawing
    from sweettok_cli.generation.wish import Wish as Wish
    from sweettok_cli.models.common.budget import Budget as Budget
    from sweettok_cli.models.common.tokenizer import Tokenizer as Tokenizer
    from sweettok_cli.pipeline.decode import decode_video as decode_video
    from sweettok_cli.pipeline.encode import encode_video as encode_video
    from sweettok_cli.pipeline.export_folder import export_folder as export_folder
    from sweettok_cli.sequences.dataset import TokenDataset as TokenDataset
    from sweettok_cli.tokens.meta import Tokens as Tokens
    from sweettok_cli.video.pixels import write_video as write_video
    from sweettok_cli.video.selection import Selection as Selection
    from sweettok_cli.zoo.load import load as load
    from sweettok_cli.zoo.token_files import read_tokens as read_tokens
    from sweettok_cli.zoo.token_files import write_tokens as write_tokens

_HOMES = {
    "Budget": "models.common.budget",
    "Drawing": "generation.sampling",
    "Selection": "video.selection",
    "SweettokError": "errors",
    "TokenDataset": "sequences.dataset",
    "Tokenizer": "models.common.tokenizer",
    "Tokens": "tokens.meta",
    "Wish": "generation.wish",
    "decode_video": "pipeline.decode",
    "encode_video": "pipeline.encode",
    "export_folder": "pipeline.export_folder",
    "load": "zoo.load",
    "load_generator": "generation.generator",
    "read_tokens": "zoo.token_files",
    "write_tokens": "zoo.token_files",
    "write_video": "video.pixels",
}

__all__ = [
    "Budget",
    "Drawing",
    "Selection",
    "SweettokError",
    "TokenDataset",
    "Tokenizer",
    "Tokens",
    "Wish",
    "__version__",
    "decode_video",
    "encode_video",
    "export_folder",
    "load",
    "load_generator",
    "read_tokens",
    "write_tokens",
    "write_video",
]


def __getattr__(name: str) -> Any:
    # Torch takes seconds to import; a plain `import sweettok` must not pay for it.
    from importlib import import_module
    from importlib.util import find_spec

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    from pkgutil import iter_modules

    parts = {module.name for module in iter_modules(__path__) if not module.name.startswith("_")}
    return sorted({*globals(), *__all__, *parts} - {"Any", "TYPE_CHECKING", "_HOMES", "annotations"})
