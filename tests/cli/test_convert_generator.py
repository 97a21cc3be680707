"""OmniTokenizer's language model, as its trainer writes it, becomes a generator with the same logits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from published_files import save_lightning
from safetensors.torch import load_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.convert import convert_generator
from sweettok_cli.generation.generator import load_generator
from sweettok_cli.generation.published import load_published_generator
from sweettok_cli.generation.sampling import Drawing
from sweettok_cli.generation.wish import Wish

CODES, CLASSES, POSITIONS, WIDTH, LAYERS = 64, 5, 5 * 8 * 8, 32, 2
SETTINGS = {
    **{"class_cond_dim": CLASSES, "unconditional": False, "starts_with_sos": True, "p_drop_cond": 0.1},
    **{"class_first": False, "vtokens_pos": False, "block_size": POSITIONS + 1, "n_layer": LAYERS},
    **{"n_head": 2, "n_embd": WIDTH, "resolution": 64, "sequence_length": 17},
}


def published_state() -> dict[str, Tensor]:
    """minGPT's names and shapes, drawn so that what is read matters."""
    draw = torch.Generator().manual_seed(4)
    symbols = 1 + CLASSES + CODES
    shapes: dict[str, tuple[int, ...]] = {"pos_emb": (1, POSITIONS + 1, WIDTH)}
    shapes |= {"tok_emb.weight": (symbols, WIDTH), "head.weight": (symbols, WIDTH)}
    shapes |= {"ln_f.weight": (WIDTH,), "ln_f.bias": (WIDTH,)}
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        maps = dict.fromkeys(("attn.key", "attn.query", "attn.value", "attn.proj"), (WIDTH, WIDTH))
        maps |= {"mlp.0": (4 * WIDTH, WIDTH), "mlp.2": (WIDTH, 4 * WIDTH)}
        for name, shape in maps.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[:1]}
        for name in ("ln1", "ln2"):
            shapes |= {f"{block}.{name}.weight": (WIDTH,), f"{block}.{name}.bias": (WIDTH,)}
        shapes[f"{block}.attn.mask"] = (1, 1, 4, 4)
    return {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def tokenizer(families: dict[str, Path]) -> Path:
    return families["omnitokenizer"]


@pytest.fixture
def write(tokenizer: Path, tmp_path: Path) -> Callable[..., Path]:
    """A checkpoint with these settings changed."""

    def checkpoint(**changes: Any) -> Path:
        state = {f"transformer.{name}": tensor for name, tensor in published_state().items()}
        own = load_file(tokenizer / "model.safetensors")
        state |= {f"first_stage_model.{name}": tensor for name, tensor in own.items()}
        settings = argparse.Namespace(**{**SETTINGS, **changes})
        return save_lightning(tmp_path / "ucf_class_lm.ckpt", state, {"args": settings, "sos_token": 0})

    return checkpoint


def test_it_gives_the_published_logits(write: Any, tokenizer: Path, tmp_path: Path) -> None:
    convert_generator(write(), tokenizer, tmp_path / "lm", "lm")
    generator = load_generator(tmp_path / "lm", "cpu")
    config = generator.network.network.config
    theirs = GPT2LMHeadModel(GPT2Config(**{**config.to_dict(), "vocab_size": 1 + CLASSES + CODES})).eval()
    load_published_generator(theirs, published_state())
    drawn = torch.randint(CODES, (2, POSITIONS - 1), generator=torch.Generator().manual_seed(1))
    labels, code = torch.tensor([[3], [0]]), generator.card.vocabulary
    of = code.column("indices", 0)
    begin = torch.full_like(labels, code.special("begin"))
    ours = torch.cat([begin, labels + code.label("0"), drawn + of.start], 1)
    with torch.no_grad():
        wanted = theirs(torch.cat([0 * labels, 1 + labels, 1 + CLASSES + drawn], 1)).logits
        found = generator.network.network(ours).logits
    assert torch.allclose(found[..., of.start : of.end], wanted[..., 1 + CLASSES :], atol=1e-5)
    assert wanted.std() > 0.1


def test_it_draws_of_a_class_and_of_nothing_else(write: Any, tokenizer: Path, tmp_path: Path) -> None:
    convert_generator(write(), tokenizer, tmp_path / "lm", "lm")
    generator = load_generator(tmp_path / "lm", "cpu")
    (tokens,) = generator.generate(1, Wish("2"))
    tokens.check()
    assert generator.tokenizer(tokenizer).decode(tokens).shape == (17, 64, 64, 3)
    for wish in (Wish(), Wish("2", drawing=Drawing(guidance=2.0))):
        with pytest.raises(SweettokError, match=r"nothing without a class; name one \(0, 1, 2, 3, 4\)"):
            list(generator.generate(1, wish))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts_with_sos": False}, "starts_with_sos = False, with which its symbols are in another order"),
        ({"class_first": True}, "class_first = True"),
        ({"unconditional": True, "class_cond_dim": None}, "unconditional = True"),
        ({"n_head": None}, "does not say how many heads"),
        ({"class_cond_dim": 7}, "70 symbols, not one for each of 64 codes and of its 7 classes"),
        ({"resolution": 128}, "places for 321 symbols, fewer than a clip of 128x128 has, 1280"),
        ({"sequence_length": 16}, "trained on 16 frames"),
    ],
)
def test_what_is_in_another_order_is_refused(
    write: Any, tokenizer: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SweettokError, match=words):
        convert_generator(write(**changes), tokenizer, tmp_path / "lm", "lm")
    assert not (tmp_path / "lm").exists()


def test_the_command(
    cli: Any, write: Any, tokenizer: Path, families: dict[str, Path], tmp_path: Path
) -> None:
    file, out = write(), tmp_path / "lm"
    how = "models", "convert", file, "--as", "generator"
    other = cli(*how, "--tokenizer", families["sweettok"], "-o", out)
    assert other.code == 1 and "is no tokenizer of a grid of codes" in other.err and not out.exists()
    assert (
        cli(*how).code == 2 and cli("models", "convert", file, "--as", "vidtok", "--tokenizer", "x").code == 2
    )
    ran = cli(*how, "--tokenizer", tokenizer, "-o", out, "--json")
    assert ran.code == 0 and json.loads(ran.out)["tokenizer"] == tokenizer.name, ran.err
    draw = "generate", "-m", out, "--tokenizer", tokenizer, "-o", tmp_path / "made"
    assert cli(*draw, "--class", 4).code == 0
    assert (tmp_path / "made" / "4-0-000.mp4").stat().st_size
    again = cli(*how, "--tokenizer", tokenizer, "-o", out)
    assert again.code == 1 and "--force" in again.err
    changed = load_file(tokenizer / "model.safetensors")
    changed["codebook.embeddings"] += 1
    state = {f"transformer.{name}": tensor for name, tensor in published_state().items()}
    state |= {f"first_stage_model.{name}": tensor for name, tensor in changed.items()}
    save_lightning(file, state, {"args": argparse.Namespace(**SETTINGS)})
    wrong = cli(*how, "--tokenizer", tokenizer, "-o", out, "--force")
    assert wrong.code == 1 and "has learned are not those of" in wrong.err
