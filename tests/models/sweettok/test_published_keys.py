from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordGraph, WordPrior
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.published import NAMES, convert, load_published

KEYS = Path(__file__).parents[2] / "golden" / "sweettok_compact" / "keys.json"


@pytest.fixture
def model() -> SweetTok:
    """The published network without storage."""
    words = WordGraph(["a", "b"], ["c", "d"], np.zeros((4, 32), np.float32), np.zeros((2, 1), np.int64))
    return lay_out(lambda: SweetTok(SweetTokConfig(), WordPrior(words, words)))


@pytest.fixture
def state() -> dict[str, Tensor]:
    """The published state dict, all zeros, without storage."""
    keys = json.loads(KEYS.read_text())
    return {name: torch.zeros(()).expand(spec["shape"]) for name, spec in keys.items()}


def test_names_map_one_to_one(model: SweetTok, state: dict[str, Tensor]) -> None:
    ours = [name for name in map(NAMES.our_name, state) if name is not None]
    assert len(ours) == len(set(ours))
    words = {name for name in model.state_dict() if name.endswith((".vectors", ".edges"))}
    assert set(ours) == set(model.state_dict()) - words


def test_what_is_dropped_is_never_used(state: dict[str, Tensor]) -> None:
    dropped = {
        name.split(".")[-1] for name in state if NAMES.our_name(name) is None and not name.endswith(".beta")
    }
    assert dropped == {
        *("relative_position_index", "N", "z_avg", "codebook_usage"),  # buffers
        *("gamma", "q_scale", "k_scale", "weight", "bias"),
    }
    dropped_parameters = {
        name for name in state if NAMES.our_name(name) is None and name.endswith(("weight", "bias"))
    }
    assert all(
        "spatial_rel_pos_bias" in name or "code_book_mapping" in name or name.endswith("to_q.weight")
        for name in dropped_parameters
    )


def test_load_takes_the_whole_network(model: SweetTok, state: dict[str, Tensor]) -> None:
    load_published(model, state)
    assert not any(parameter.is_meta for parameter in model.parameters())


def test_missing_and_unknown_tensors_are_named(model: SweetTok, state: dict[str, Tensor]) -> None:
    del state["decoder.mask_token"]
    state["decoder.novelty"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"missing decoder\.mask_token; unknown decoder\.novelty"):
        load_published(model, state)


def test_values_are_the_second_half(model: SweetTok) -> None:
    name = "encoder.enc_latent_temporal_transformer.layers.1.1.to_kv.weight"
    keys_then_values = torch.cat([torch.zeros(512, 512), torch.ones(512, 512)])
    converted = convert({name: keys_then_values}, model)
    assert converted["encoder.temporal_queries.layers.1.attention.to_v.weight"].equal(torch.ones(512, 512))


def test_wrong_shapes_are_refused(model: SweetTok) -> None:
    with pytest.raises(ValueError, match=r"conv_out\.weight is \[512, 256, 1, 1\], expected \[512, 512\]"):
        convert({"encoder.conv_out.weight": torch.zeros(512, 256, 1, 1)}, model)


def test_offsets_must_be_zero(model: SweetTok) -> None:
    with pytest.raises(ValueError, match="should be zero"):
        convert({"encoder.enc_spatial_transformer.norm_out.beta": torch.ones(512)}, model)
