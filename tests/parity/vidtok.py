"""VidTok networks with made-up weights, and what the golden taps saw of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor

from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.vidtok.config import VidTokConfig
from sweettok_cli.models.vidtok.network import VidTok

from .rule import Case, case_folder

CLOSE = 1e-4
CLEAR = 1e-4  # a rounding is only compared where the latent was so far from an edge

# Where the axes of [b, t, h, w, c] are in a tap of so many dimensions.
LAYOUTS = {
    5: "b t h w c -> b c t h w",
    4: "b t h w c -> (b t) c h w",
    3: "b t h w c -> (b h w) c t",
}


def config_of(case_name: str) -> VidTokConfig:
    return VidTokConfig.from_name(case_name.replace("_v1_1", "-v1.1").replace("_", "-"))


def empty(case_name: str) -> VidTok:
    return lay_out(lambda: VidTok(config_of(case_name))).eval()


@lru_cache(maxsize=1)
def loaded(case_name: str) -> tuple[Case, VidTok]:
    """The case and its network; the last one asked for is kept."""
    case = Case(case_folder(case_name))
    model = empty(case_name)
    model.load_state_dict(case.weights(), assign=True)
    return case, model


def tags(case: Case) -> list[str]:
    """Names of the case's inputs: the beginnings of output names."""
    outputs = (name for name in case.manifest["outputs"] if not name.startswith("tap:"))
    return list(dict.fromkeys(name.split(":")[0] for name in outputs))


def stored(case: Case, name: str) -> bool:
    return name in case.manifest["outputs"]


@contextmanager
def tapped(model: VidTok, case: Case) -> Iterator[dict[str, Tensor]]:
    """Fills a table with what golden taps of input ``v`` see, under their names and in their layout."""
    seen: dict[str, list[Tensor]] = defaultdict(list)
    taps: dict[str, Tensor] = {}
    names = [name for name in case.manifest["outputs"] if name.startswith("tap:v:")]
    hooks = [
        model.get_submodule(name.removeprefix("tap:v:")).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen[name].append(output.clone())
        )
        for name in names
    ]
    try:
        yield taps
    finally:
        for hook in hooks:
            hook.remove()
    for name in names:
        layout = LAYOUTS[len(case.manifest["outputs"][name]["shape"])]
        taps[name] = rearrange(torch.cat(seen[name], 1), layout)
