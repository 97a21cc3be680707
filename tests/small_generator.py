"""A tiny generator: its settings, one with random weights, and token files of made-up models for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sequences.videos import dense, ragged

from sweettok_cli.generation.config import make_config
from sweettok_cli.generation.folder import GeneratorCard, make_tokenizer, write_generator
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.videos import SymbolVideos, TokenVideo
from sweettok_cli.tokens import write_tokens

TINY = {"preset": "generator-small", "layers": 2, "heads": 2, "width": 32, "inner": 48}


def write_videos(folder: Path, levels: bool, first: int = 0, count: int = 6) -> Path:
    """Videos of two clips each, half of them of one class and half of another."""
    for number in range(first, first + count):
        kind = folder / ("Archery" if number % 2 else "Biking")
        kind.mkdir(parents=True, exist_ok=True)
        make = ragged if levels else dense
        write_tokens(kind / f"{number}.npz", make(number, clips=2))
    return folder


def save_generator(folder: Path, videos: Sequence[TokenVideo], clips: int = 1) -> Path:
    """A generator with random weights that knows the tokens and classes of these videos."""
    import torch

    found = SymbolVideos(videos)
    card = GeneratorCard("made-up", make_config(TINY), found.order.vocabulary, found.like, clips)
    torch.manual_seed(1)
    network = Generator(build_network(card.config, card.vocabulary), card.vocabulary)
    write_generator(folder, network, card, make_tokenizer(card.vocabulary, None))
    return folder
