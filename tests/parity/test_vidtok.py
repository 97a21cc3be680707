"""The VidTok networks against golden tensors of the published ones."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.vidtok.network import EncoderState, VidTok
from sweettok_cli.models.vidtok.regularizers import FiniteScalarQuantizer

from .rule import Case, case_folder
from .vidtok import CLEAR, CLOSE, config_of, empty, loaded, stored, tags, tapped

CASES = [
    "vidtok_fsq_causal_488_32768",
    "vidtok_fsq_causal_41616_262144",
    "vidtok_fsq_causal_888_32768_v1_1",
    "vidtok_fsq_noncausal_488_262144",
    "vidtok_kl_causal_488_4chn",
    "vidtok_kl_causal_488_4chn_v1_1",
    "vidtok_kl_causal_41616_4chn",
    "vidtok_kl_causal_288_8chn",
    "vidtok_kl_causal_444_4chn",
    "vidtok_kl_noncausal_488_4chn",
]


def case_of(name: str) -> Case:
    case = Case(case_folder(name))
    if not case.folder.is_dir():
        pytest.skip(f"no golden tensors of {name}")
    return case


@pytest.mark.parametrize("name", CASES)
def test_parameters_have_the_published_names_and_shapes(name: str) -> None:
    keys = json.loads((case_of(name).folder / "keys.json").read_text())
    ours = {key: list(tensor.shape) for key, tensor in empty(name).state_dict().items()}
    assert ours == {key: spec["shape"] for key, spec in keys.items()}


@pytest.mark.parametrize("name", CASES)
def test_configuration_follows_the_published_settings(name: str) -> None:
    case, config = case_of(name), config_of(name)
    if "config" not in case.manifest:
        pytest.skip("an excerpt has no settings")
    settings = case.manifest["config"]["params"]
    encoder, decoder = (settings[side]["params"] for side in ("encoder_config", "decoder_config"))
    levels = len(encoder["ch_mult"])
    assert config.width == encoder["ch"] == decoder["ch"]
    assert config.multipliers == tuple(encoder["ch_mult"]) == tuple(decoder["ch_mult"])
    assert config.encoder_blocks == encoder["num_res_blocks"] == decoder["num_res_blocks"]
    assert config.decoder_blocks == decoder["num_res_blocks"] + 1
    assert config.channels == encoder["z_channels"]
    assert (config.regularizer == "kl") == encoder["double_z"]
    assert config.causal == ("3dcausal" in settings["encoder_config"]["target"])
    assert config.interpolates == (decoder.get("interpolation_mode") == "trilinear")
    assert config.time_factor == encoder["time_downsample_factor"]
    assert set(config.spatial_down) == set(encoder.get("spatial_ds", range(levels - 1)))
    assert set(config.spatial_up) == set(decoder.get("spatial_us", range(1, levels)))
    assert set(config.temporal_down) == set(encoder.get("tempo_ds", [levels - 2, levels - 3]))
    assert set(config.temporal_up) == set(decoder.get("tempo_us", [1, 2]))
    assert config.fsq_levels == tuple(settings["regularizer_config"]["params"].get("levels", ()))


@pytest.mark.parametrize("name", CASES)
def test_losses_of_the_regulariser(name: str) -> None:
    """From the stored latents; of tiles the mean over chunks was published, and some were not measured."""
    case, config = case_of(name), config_of(name)
    quantizer, checked = FiniteScalarQuantizer(config.fsq_levels), 0
    for key, published in case.manifest["scalars"].items():
        tag, _, what = key.partition(":")
        whole = case.manifest["outputs"].get(f"{tag}:h", {}).get("stored") == "whole"
        if tag.startswith("tile") or not published or not whole:
            continue
        latents = case.data[f"{tag}:h"]
        if what == "kl_loss":
            found = GaussianLatents.from_moments(latents).divergence
        elif what.startswith("aux_loss"):
            found = quantizer.loss(latents.movedim(1, -1), int(what.partition("=")[2] or 0))
        else:
            continue
        checked += 1
        assert found.item() == pytest.approx(published, rel=1e-4), key
    if not checked:
        pytest.skip("an excerpt without latents")


def check_tokens(model: VidTok, case: Case, tag: str, latents: Tensor) -> None:
    """Latents [b, c, t, h, w] before the regulariser, where they and what follows from them are stored."""
    if stored(case, f"{tag}:h"):
        assert case.error(f"{tag}:h", latents) < CLOSE
    tokens = model.regularize(latents)
    if isinstance(tokens, GaussianLatents):
        assert case.error(f"{tag}:z", tokens.mean) < CLOSE
        return
    published = case.data[f"{tag}:indices"].long()
    if stored(case, f"{tag}:gap"):
        clear = case.data[f"{tag}:gap"] > CLEAR
        assert clear.float().mean() > 0.99
        assert tokens[clear].equal(published[clear])
    else:
        assert tokens.equal(published)
    assert case.error(f"{tag}:z", model.to_latents(published)) == 0


def check_frames(case: Case, tag: str, frames: Tensor, length: int) -> None:
    if stored(case, f"{tag}:recon"):
        assert case.error(f"{tag}:recon", frames) < CLOSE
    if stored(case, f"{tag}:forward"):
        assert case.error(f"{tag}:forward", frames[:, :, -length:]) < CLOSE


def check_clip(model: VidTok, case: Case, tag: str) -> None:
    video = case.input_video(f"{case.manifest['case']}:{tag}")
    with torch.inference_mode():
        check_tokens(model, case, tag, model.encode_latent(video))
        if stored(case, f"{tag}:recon") or tag == "v":
            check_frames(case, tag, model.decode_latent(case.data[f"{tag}:z"]), video.shape[2])


def check_tiles(model: VidTok, case: Case, tag: str) -> None:
    """The tokens of chunks of one frame and then 16, as published with ``use_tiling``."""
    video = case.input_video(f"{case.manifest['case']}:{tag.replace('ov', '')}")
    encoder = EncoderState(model)
    with torch.inference_mode():
        pieces = [video[:, :, :1], *video[:, :, 1:].split(16, 2)]
        check_tokens(model, case, tag, torch.cat([encoder.push_latent(piece) for piece in pieces], 2))


def test_image() -> None:
    """Version 1.0, FSQ: zeros in front, repeated frames."""
    case, model = loaded("vidtok_fsq_causal_488_32768")
    check_clip(model, case, "img")


def test_fourteen_frames() -> None:
    """Version 1.1, KL: copies in front, interpolated frames, a length that is not 1 + f * k."""
    case, model = loaded("vidtok_kl_causal_488_4chn_v1_1")
    check_clip(model, case, "t14")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_everything(name: str) -> None:
    case_of(name)
    case, model = loaded(name)
    for tag in tags(case):
        if tag.startswith("tile"):
            check_tiles(model, case, tag)
        elif tag == "v":
            with tapped(model, case) as taps:
                check_clip(model, case, tag)
            errors = {tap: case.error(tap, seen) for tap, seen in taps.items()}
            assert max(errors.values()) < CLOSE, errors
        else:
            check_clip(model, case, tag)
