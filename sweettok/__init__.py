"""``import sweettok``: another name of the package :mod:`sweettok_cli`, and of every module in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import sweettok_cli

if TYPE_CHECKING:
    from sweettok_cli import *  # noqa: F403


class _SameModules(MetaPathFinder, Loader):
    """Makes ``sweettok.video`` the module ``sweettok_cli.video``, not a second one like it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, rest = fullname.partition(".")
        # `python -m sweettok` runs a module of its own.
        if package != __name__ or rest == "__main__" or find_spec(f"sweettok_cli.{rest}") is None:
            return None
        return ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        _, _, rest = module.__name__.partition(".")
        sys.modules[module.__name__] = import_module(f"sweettok_cli.{rest}")


sys.meta_path.insert(0, _SameModules())
sys.modules[__name__] = sweettok_cli
