"""The published network with made-up weights and words, and the inner streams of the golden taps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.codebook.prior import WordGraph, WordPrior
from sweettok_cli.models.common.network import lay_out
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.published import load_published
from tests.parity.rule import Case, randn


def made_up_prior(case: Case) -> WordPrior:
    """The words of priors.json after the published filter, vectors by rule."""
    words = json.loads((case.folder / "priors.json").read_text())
    adjectives = [w for w, count in words["adj_count"].items() if count > 10]
    nouns = [w for w, count in words["noun_count"].items() if count > 10 and w not in words["adj_count"]]
    return WordPrior(
        graph(case.salt, "adj", adjectives, "noun", nouns, words["adj_noun_edges"]),
        graph(case.salt, "adv", words["adv"], "verb", words["verb"], words["verb_adverb_edges"]),
    )


def graph(
    salt: str, group: str, modifiers: list[str], head_group: str, heads: list[str], edges: list[list[str]]
) -> WordGraph:
    vectors = [0.02 * randn(salt, f"prior:{group}:{w}", (32,)) for w in modifiers]
    vectors += [0.02 * randn(salt, f"prior:{head_group}:{w}", (32,)) for w in heads]
    rows = {w: row for row, w in enumerate([*modifiers, *heads])}
    kept = [(rows[a], rows[b]) for a, b in edges if a in rows and b in rows]
    return WordGraph(modifiers, heads, np.stack(vectors), np.ascontiguousarray(np.array(kept).T))


def build(case: Case, weights: dict[str, Tensor], **changes: object) -> SweetTok:
    """The network of the case; made without initialising parameters that are overwritten anyway."""
    prior = made_up_prior(case)
    model = lay_out(lambda: SweetTok(SweetTokConfig(**changes), prior))  # type: ignore[arg-type]
    load_published(model, weights)
    return model.eval()


@contextmanager
def tapped(model: SweetTok) -> Iterator[dict[str, Tensor]]:
    """Collects what the golden taps saw, under their published names and in their published layout."""
    taps: dict[str, Tensor] = {}
    hooks = []

    def tap(module: nn.Module, name: str, layout: str) -> None:
        def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            taps[name] = rearrange(output.detach(), layout)

        hooks.append(module.register_forward_hook(keep))

    def tap_layers(stack: nn.Module, name: str, layout: str) -> None:
        for index, layer in enumerate(stack.layers):
            tap(layer, f"tap:{name}[{index}]", layout)

    encoder, decoder = model.encoder, model.decoder
    space, time = "b t h w d -> (b t) (h w) d", "b t h w d -> (b h w) t d"
    tap(encoder.embed_first_frame, "tap:encoder.to_patch_emb_first_frame", "... -> ...")
    tap(encoder.embed_later_frames, "tap:encoder.to_patch_emb", "... -> ...")
    tap_layers(encoder.spatial_features, "encoder.enc_spatial_transformer", space)
    tap(encoder.spatial_queries.norm_out, "tap:encoder.enc_latent_spatial_transformer", space)
    tap_layers(encoder.temporal_features, "encoder.enc_temporal_transformer", time)
    tap(encoder.temporal_queries.norm_out, "tap:encoder.enc_latent_temporal_transformer", time)
    tap(model.pre_vq_spatial, "tap:pre_vq_conv_", "b l d -> b d 1 1 l")
    tap(model.pre_vq_temporal, "tap:pre_vq_conv_temporal", "b l d -> b d 1 1 l")
    tap_layers(decoder.temporal_latents, "decoder.dec_temporal_latent_transformer", time)
    tap_layers(decoder.spatial_latents, "decoder.dec_spatial_latent_transformer", space)
    tap(decoder.features.norm_out, "tap:decoder.dec_spatial_transformer", space)
    tap(decoder.norm, "tap:decoder.ln_post", "b t h w d -> b (t h w) d")
    try:
        yield taps
    finally:
        for hook in hooks:
            hook.remove()
