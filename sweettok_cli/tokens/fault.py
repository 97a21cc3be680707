"""What can be wrong with tokens."""

from __future__ import annotations

ENCODE_AGAIN = "encode the source again"
UPDATE = "update sweettok"


class TokenFault(ValueError):
    """What is wrong with tokens, and what to do; whoever knows the file adds its name."""

    def __init__(self, problem: str, remedy: str = ENCODE_AGAIN) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
