"""The token file: what it holds, how it is read and written, what its tokens cost."""

from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.file import looks_like_tokens, read_meta, read_spread, read_tokens, write_tokens
from sweettok_cli.tokens.layout import TokenCost, token_cost
from sweettok_cli.tokens.meta import TokenMeta, Tokens, clip_count

__all__ = [
    "TokenCost",
    "TokenFault",
    "TokenMeta",
    "Tokens",
    "clip_count",
    "looks_like_tokens",
    "read_meta",
    "read_spread",
    "read_tokens",
    "token_cost",
    "write_tokens",
]
