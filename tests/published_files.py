"""Checkpoints as the published trainers write them, with made-up weights, and the word priors beside them."""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.parity.rule import TESTS, Case, randn

#: The dead tensors of self attention that OmniTokenizer's own checkpoints hold and SweetTok deletes.
WIDTH = 512


def save_lightning(path: Path, state: dict[str, Tensor], settings: dict[str, Any] | None = None) -> Path:
    """A training checkpoint of PyTorch Lightning: optimisers, loops and callbacks around the state dict."""
    content: dict[str, Any] = {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.8.6",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {
            "ModelCheckpoint{'monitor': None}": {
                "best_model_score": torch.tensor(0.5),
                "dirpath": "/checkpoints",
                "best_k_models": {},
            }
        },
        "optimizer_states": [{"state": {0: {"step": 10, "exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [],
    }
    if settings is not None:
        content["hyper_parameters"] = settings
    torch.save(content, path)
    return path


def save_accelerate(folder: Path, state: dict[str, Tensor], shards: int = 1, suffix: str = ".bin") -> Path:
    """A folder of Accelerate: one file, or several with an index."""
    folder.mkdir(parents=True)
    stem = "pytorch_model" if suffix == ".bin" else "model"

    def save(tensors: dict[str, Tensor], path: Path) -> None:
        if suffix == ".bin":
            torch.save(tensors, path)
        else:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)

    if shards == 1:
        save(state, folder / f"{stem}{suffix}")
        return folder
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"{stem}-{shard + 1:05}-of-{shards:05}{suffix}"
        own = dict(list(state.items())[shard::shards])
        save(own, folder / file)
        places |= dict.fromkeys(own, file)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))
    return folder


def omnitokenizer_settings(**changes: Any) -> dict[str, Any]:
    """What Lightning keeps of OmniTokenizer's command line: one argparse.Namespace."""
    settings = {
        "patch_embed": "linear",
        "spatial_pos": "rope",
        "l2_code": True,
        "use_external_codebook": False,
        "use_vae": False,
        "defer_temporal_pool": False,
        "defer_spatial_pool": False,
        "gen_upscale": None,
        "casual_in_temporal_transformer": True,
        "casual_in_peg": True,
        "lr": 1e-3,
        "resolution_scale": [0.5, 1.0],
    }
    return {"args": argparse.Namespace(**{**settings, **changes})}


def omnitokenizer_state(case: Case) -> dict[str, Tensor]:
    """Everything in a published checkpoint: the network, dead weights, discriminators, perceptual network."""
    state = case.weights()
    state["encoder.enc_spatial_transformer.layers.2.1.relative_position_index"] = torch.zeros(64, 64).long()
    for stack in ("encoder.enc_temporal_transformer", "decoder.dec_spatial_transformer"):
        state[f"{stack}.layers.0.1.context_norm.gamma"] = torch.ones(WIDTH)
        state[f"{stack}.layers.0.1.context_norm.beta"] = torch.zeros(WIDTH)
    state["image_discriminator.model0.0.weight"] = torch.ones(64, 3, 4, 4)
    state["video_discriminator.model1.1.num_batches_tracked"] = torch.tensor(7)
    state["perceptual_model.net.slice1.0.weight"] = torch.ones(64, 3, 3, 3)
    return state


def continuous(state: dict[str, Tensor], salt: str = "") -> dict[str, Tensor]:
    """A VQ state dict as the published code makes a VAE of it: twice as many numbers before the decoder.

    The means are what was quantised; the codebook stays, unused.
    """
    before = {name: state[f"pre_vq_conv.1.{name}"] for name in ("weight", "bias")}
    further = {
        name: torch.from_numpy(0.1 * randn(salt, f"more:{name}", t.shape)) for name, t in before.items()
    }
    return {**state, **{f"pre_vq_conv.1.{n}": torch.cat([t, further[n]]) for n, t in before.items()}}


def save_small_omnitokenizer(path: Path) -> Path:
    """A training checkpoint in the published layout, of a network a thousandth of the published one."""
    from small_models import OMNI, lively_state

    from sweettok_cli.models.omnitokenizer.config import OmniConfig
    from sweettok_cli.models.omnitokenizer.network import OmniTokenizer
    from sweettok_cli.models.omnitokenizer.published import TABLE

    published = json.loads((TESTS / "golden" / "omni" / "keys.json").read_text())
    own = lively_state(OmniTokenizer(OmniConfig(**OMNI)))  # type: ignore[arg-type]
    state = {name: own[ours] for name in published if (ours := TABLE.our_name(name)) in own}
    assert len(state) == len(own)
    return save_lightning(path, state, omnitokenizer_settings())


def vidtok_state(case: Case, average: float | None = None) -> dict[str, Tensor]:
    """The network, the loss beside it and, if asked for, a moving average: the weights times ``average``."""
    state = case.weights()
    averages = {
        "model_ema." + name.replace(".", ""): tensor * average
        for name, tensor in state.items()
        if average is not None
    }
    if averages:
        averages |= {"model_ema.decay": torch.tensor(0.999), "model_ema.num_updates": torch.tensor(10)}
    state |= {
        "regularization._levels": torch.tensor([8, 8, 8, 8, 8]),
        "regularization._basis": torch.tensor([1, 8, 64, 512, 4096]),
        "loss.logvar": torch.zeros(()),
        "loss.discriminator.main.0.weight": torch.ones(64, 3, 4, 4),
        "loss.perceptual_loss.lin0.model.1.weight": torch.ones(1, 64, 1, 1),
    }
    return state | averages


def save_words(folder: Path, case: Case) -> tuple[Path, Path]:
    """The words of priors.json in the published layout: two pickles of counts, edges and vectors."""
    words = json.loads((case.folder / "priors.json").read_text())

    def vectors(group: str, names: list[str], shape: tuple[int, ...]) -> dict[str, Tensor]:
        return {
            word: torch.from_numpy(0.02 * randn(case.salt, f"prior:{group}:{word}", (32,))).reshape(shape)
            for word in names
        }

    spatial = {
        "adj_code_book_num": words["adj_count"],
        "noun_code_book_num": words["noun_count"],
        "adj_noun_edges": [tuple(edge) for edge in words["adj_noun_edges"]],
        "adj_code_book_vec": vectors("adj", list(words["adj_count"]), (1, 1, 32)),
        "noun_code_book_vec": vectors("noun", list(words["noun_count"]), (1, 1, 32)),
    }
    temporal = {
        "adverb_code_book_num": dict.fromkeys(words["adv"], 3),
        "verb_code_book_num": dict.fromkeys(words["verb"], 3),
        "verb_adverb_edges": [tuple(edge) for edge in words["verb_adverb_edges"]],
        "adverb_vec": vectors("adv", words["adv"], (32,)),
        "verb_vec": vectors("verb", words["verb"], (32,)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "mlc_codebook_noun_adj.pkl", folder / "mlc_codebook_verb_adv.pkl"
    for path, content in zip(paths, (spatial, temporal), strict=True):
        path.write_bytes(pickle.dumps(content))
    return paths
