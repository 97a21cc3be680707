from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.omnitokenizer.config import OmniConfig
from sweettok_cli.models.omnitokenizer.network import OmniTokenizer
from sweettok_cli.models.omnitokenizer.published import TABLE, load_published_omnitokenizer

KEYS = Path(__file__).parents[2] / "golden" / "omni" / "keys.json"


@pytest.fixture
def model() -> OmniTokenizer:
    """The published network without storage."""
    return lay_out(lambda: OmniTokenizer(OmniConfig()))


@pytest.fixture
def state() -> dict[str, Tensor]:
    """The published state dict, all zeros, without storage."""
    keys = json.loads(KEYS.read_text())
    return {name: torch.zeros(()).expand(spec["shape"]) for name, spec in keys.items()}


def test_names_map_one_to_one(model: OmniTokenizer, state: dict[str, Tensor]) -> None:
    ours = [name for name in map(TABLE.our_name, state) if name is not None]
    assert len(ours) == len(set(ours))
    assert set(ours) == set(model.state_dict())


def test_only_dead_weights_are_dropped(state: dict[str, Tensor]) -> None:
    dropped = {name for name in state if TABLE.our_name(name) is None}
    dead = ("spatial_rel_pos_bias", "relative_position_index", ".beta")
    statistics = {"codebook.N", "codebook.z_avg", "codebook.codebook_usage"}
    assert all(any(word in name for word in dead) for name in dropped - statistics)
    assert statistics < dropped
    mlp = sum(state[name].numel() for name in dropped if "spatial_rel_pos_bias" in name)
    assert mlp == 8 * 268_296


def test_load_drops_what_only_trains(model: OmniTokenizer, state: dict[str, Tensor]) -> None:
    extra = torch.ones(3)
    state["image_discriminator.model0.0.weight"] = extra
    state["video_discriminator.model1.1.running_mean"] = extra
    state["perceptual_model.net.slice1.0.weight"] = extra
    state["encoder.enc_spatial_transformer.layers.0.1.context_norm.gamma"] = extra
    load_published_omnitokenizer(model, state)
    assert not any(tensor.is_meta for tensor in model.state_dict().values())


def test_every_missing_and_unknown_tensor_is_named(model: OmniTokenizer, state: dict[str, Tensor]) -> None:
    del state["pre_vq_conv.1.bias"], state["codebook.embeddings"]
    state["decoder.novelty"] = state["audio_discriminator.weight"] = torch.zeros(1)
    words = (
        r"not the published OmniTokenizer network: missing codebook\.embeddings, pre_vq\.bias; "
        r"unknown audio_discriminator\.weight, decoder\.novelty"
    )
    with pytest.raises(ValueError, match=words):
        load_published_omnitokenizer(model, state)


def test_a_continuous_form_has_no_use_for_codes(state: dict[str, Tensor]) -> None:
    network = lay_out(lambda: OmniTokenizer(OmniConfig(regularizer="kl")))
    state["pre_vq_conv.1.weight"], state["pre_vq_conv.1.bias"] = torch.zeros(16, 512), torch.zeros(16)
    load_published_omnitokenizer(network, state)
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    assert not any(name.startswith("codebook") for name in network.state_dict())


def test_wrong_shapes_are_refused(model: OmniTokenizer) -> None:
    with pytest.raises(ValueError, match=r"to_pixels\.0\.bias is \[384\], expected \[768\]"):
        TABLE.convert({"decoder.to_pixels.0.bias": torch.zeros(384)}, model)


def test_offsets_must_be_zero(model: OmniTokenizer) -> None:
    with pytest.raises(ValueError, match="not a published OmniTokenizer network"):
        TABLE.convert({"decoder.dec_spatial_transformer.norm_out.beta": torch.ones(512)}, model)
