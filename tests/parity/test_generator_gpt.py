"""The published generator with made-up weights, as a GPT-2 of the library, against golden logits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.config import PRESETS
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.published import load_published_generator
from sweettok_cli.sequences.vocabulary import Vocabulary

from .rule import Case, case_folder, integers, weight

CLOSE = 1e-4
LAYERS = 2  # of 24: those of the golden case
BOOKS = {"spatial": (5078, 5078, 5403), "temporal": (1872, 1872, 9267)}


@pytest.fixture(scope="module")
def case() -> Case:
    return Case(case_folder("gpt"))


@pytest.fixture(scope="module")
def state(case: Case) -> dict[str, Tensor]:
    """All but the masks, which are large and not used."""
    keys = json.loads((case.folder / "keys.json").read_text())
    return {
        name: weight(case.salt, name, tuple(spec["shape"]), spec["rule"])
        for name, spec in keys.items()
        if spec["kind"] == "param"
    }


@pytest.fixture(scope="module")
def generator(case: Case, state: dict[str, Tensor]) -> Generator:
    """With as many symbols as the published one has: its words, 72 of ours, and what it needs of classes."""
    size = case.manifest["inputs"]["gpt_idx"]["V"]
    plain = Vocabulary("sweettok", "compact", "0" * 64, BOOKS)
    classes = tuple(f"class-{n}" for n in range(size - plain.size))
    vocabulary = Vocabulary("sweettok", "compact", "0" * 64, BOOKS, classes)
    network = build_network(replace(PRESETS["videogpt"], layers=LAYERS), vocabulary)
    load_published_generator(network, state)
    return Generator(network, vocabulary).eval()


@torch.inference_mode()
def test_logits_and_loss(case: Case, generator: Generator) -> None:
    symbols = integers(case.salt, "gpt_idx", generator.network.config.vocab_size, (1, 512))
    logits = generator.network(symbols[:, :-1]).logits
    assert case.error("logits", logits) < CLOSE
    loss = F.cross_entropy(logits[0], symbols[0, 1:])
    assert loss.item() == pytest.approx(case.manifest["scalars"]["loss"], abs=1e-4)
    assert generator.network.num_parameters() == case.manifest["parameters"]


@torch.inference_mode()
def test_logits_with_the_cache(case: Case, generator: Generator) -> None:
    symbols = integers(case.salt, "gpt_idx", generator.network.config.vocab_size, (1, 512))
    cache, found = None, []
    for place in range(4):
        step = generator.network(symbols[:, place : place + 1], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        found.append(step.logits)
    assert case.error("cached_logits", torch.cat(found, dim=1)) < CLOSE


def test_another_network_is_refused(generator: Generator, state: dict[str, Tensor]) -> None:
    less = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.1.")}
    with pytest.raises(SweettokError, match="no generator of 2 layers"):
        load_published_generator(generator.network, less)
