"""The published SweetTok network with made-up weights against golden ids, streams, logits and pixels."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from sweettok_cli.models.common.tiles import frame_differences
from sweettok_cli.models.sweettok.network import TokenPair
from sweettok_cli.models.sweettok.published import NAMES
from sweettok_cli.models.sweettok.quantizer import Quantized
from sweettok_cli.training.optimizer import make_optimizer
from sweettok_cli.training.recipe import Recipe

from .compact import build, made_up_prior, tapped
from .rule import Case, case_folder, generator, integers, weight

CLOSE = 1e-3
NEAR_TIE = 1e-6
SIZE = 256


@dataclass
class Run:
    """Everything the tests look at, from one pass: the network itself is gone by then."""

    case: Case
    codebooks: TokenPair
    latents: TokenPair
    quantized: dict[str, Quantized]
    stored_codes: TokenPair
    logits: Tensor
    pixels: Tensor
    taps: dict[str, Tensor]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    case = Case(case_folder("sweettok_compact"))
    model = build(case, case.weights())
    stored = [case.data[f"{kind}_indices"].long() for kind in TokenPair._fields]
    with torch.inference_mode(), tapped(model) as taps:
        grid = model.config.patch_grid(SIZE, SIZE)
        embedded = model.encoder.embed(case.input_video("sweettok_video"))
        spatial, *_ = model.spatial_latents(embedded, grid)
        latents = TokenPair(spatial, model.temporal_latents(frame_differences(embedded), grid))
        quantizers = {"spatial": model.quantize_spatial, "temporal": model.quantize_temporal}
        quantized = {kind: quantizers[kind](getattr(latents, kind)) for kind in quantizers}
        # Decoding starts from the stored ids, so that a near tie in the encoder cannot reach the pixels.
        codes = model.codes(*stored)
        features = model.features(*codes, SIZE, SIZE)
        assert model.proxy_head is not None
        assert model.proxy_pixels is not None
        logits = model.proxy_head(features)
        pixels = model.proxy_pixels(logits, grid)
        codebooks = TokenPair(
            model.quantize_spatial.projected_words(), model.quantize_temporal.projected_words()
        )
    result = Run(case, codebooks, latents, quantized, codes, logits, pixels, taps)
    del model
    gc.collect()
    yield result


def test_word_graph_is_the_published_one(run: Run) -> None:
    prior = made_up_prior(run.case)
    for name, words in (("noun", prior.spatial), ("verb", prior.temporal)):
        assert run.case.manifest["outputs"][f"codebook_{name}"]["shape"][0] == len(words.vectors)
    assert run.case.error("codebook_noun", run.codebooks.spatial) < 1e-6
    assert run.case.error("codebook_verb", run.codebooks.temporal) < 1e-6


def test_inner_streams(run: Run) -> None:
    unused = {"enc_spatial_transformer[8]", "enc_temporal_transformer[4]"}
    unused |= {"dec_temporal_latent_transformer[4]", "dec_spatial_latent_transformer[8]"}
    golden = {name for name in run.case.manifest["outputs"] if name.startswith("tap:")}
    assert golden - set(run.taps) == {name for name in golden if name.split(".")[-1] in unused}
    for name in golden & set(run.taps):
        tap = run.taps[name]
        if "dec_spatial_latent" in name:
            tap = tap.expand(5, -1, -1)  # the published code runs this stack on five copies
        assert run.case.error(name, tap) < CLOSE, name


def test_unused_norms_of_the_published_network(run: Run) -> None:
    """Four stacks end in a norm that nothing reads; its golden tap is that norm of our last stream."""
    for name in run.case.manifest["outputs"]:
        if not name.startswith("tap:") or name in run.taps:
            continue
        stack, index = name.removeprefix("tap:").rstrip("]").split("[")
        last = run.taps[f"tap:{stack}[{int(index) - 1}]"]
        gamma = weight(run.case.salt, f"{stack}.norm_out.gamma", (512,), "gain")
        if "dec_spatial_latent" in name:
            last = last.expand(5, -1, -1)
        assert run.case.error(name, F.layer_norm(last, (512,), gamma)) < CLOSE, name


def test_unit_vectors_before_quantising(run: Run) -> None:
    for kind in TokenPair._fields:
        assert (
            run.case.error(f"pre_vq_{kind}", rearrange(getattr(run.latents, kind), "b l d -> b d 1 l"))
            < CLOSE
        )


@pytest.mark.parametrize("kind", TokenPair._fields)
def test_every_id(run: Run, kind: str) -> None:
    ids = run.quantized[kind].ids
    stored, gaps = run.case.data[f"{kind}_indices"].long(), run.case.data[f"{kind}_gaps"]
    assert ids.shape == stored.shape
    differs = (ids != stored) & (gaps > NEAR_TIE)
    # A tie between the first two modifiers swaps both of their ids.
    differs[..., 1] &= gaps[..., 0] > NEAR_TIE
    assert not differs.any(), f"{int(differs.sum())} of {differs.numel()} ids differ"


def test_codes_of_the_stored_ids(run: Run) -> None:
    for kind in TokenPair._fields:
        codes = rearrange(getattr(run.stored_codes, kind), "b l d -> b d 1 1 l")
        assert run.case.error(f"zq_{kind}", codes) < 1e-6


def test_quantizer_losses(run: Run) -> None:
    scalars = run.case.manifest["scalars"]
    parts = run.quantized.values()
    assert sum(q.loss.item() for q in parts) == pytest.approx(scalars["stage1:quantizer_loss"], abs=1e-6)
    # The published names are the reverse of ours.
    assert sum(q.codebook_loss.item() for q in parts) == pytest.approx(
        scalars["stage1:commitment_loss"], abs=1e-6
    )
    assert sum(q.commitment_loss.item() for q in parts) == pytest.approx(
        scalars["stage1:codebook_loss"], abs=1e-6
    )


def test_logits(run: Run) -> None:
    assert run.case.error("logits", rearrange(run.logits, "b t h w k -> b k t h w")) < CLOSE
    best, stored = run.logits.argmax(-1), run.case.data["logits_argmax"].long()
    assert best.equal(torch.where(run.case.data["logits_gap"] > 1e-4, stored, best))


def test_proxy_loss(run: Run) -> None:
    scalars = run.case.manifest["scalars"]
    target = integers(run.case.salt, "target_codes", 8192, run.logits.shape[:-1])
    loss = F.cross_entropy(run.logits.flatten(0, -2), target.flatten())
    assert loss.item() == pytest.approx(scalars["stage1_loss:reconstruction_loss"], abs=CLOSE)


def test_pixels(run: Run) -> None:
    assert run.case.error("stage2_recon", run.pixels) < CLOSE


@pytest.mark.slow
def test_gradients_of_the_first_stage() -> None:
    """Cross entropy with proxy codes plus quantiser loss, and what it asks of every parameter."""
    case, network = Case(case_folder("sweettok_grad")), Case(case_folder("sweettok_compact"))
    if case.salt != network.salt:
        pytest.skip("gradients and network were made with different salts")
    weights = {name: value for name, value in network.weights().items() if not name.startswith("pixel_")}
    model = build(network, weights, pixels=False)
    output = model(case.input_video("sweettok_video"))
    assert output.logits is not None
    target = integers(case.salt, "target_codes", 8192, output.logits.shape[:-1])
    loss = (
        F.cross_entropy(output.logits.flatten(0, -2), target.flatten())
        + output.spatial.loss
        + output.temporal.loss
    )
    assert loss.item() == pytest.approx(case.manifest["scalars"]["total_loss"], abs=CLOSE)
    loss.backward()

    ours = dict(model.named_parameters())
    assert all(parameter.grad is not None for parameter in ours.values())
    assert [name for name in case.manifest["no_grad"] if NAMES.our_name(name) is not None] == []
    compared = set()
    for published, norm in case.manifest["grad_norms"].items():
        name = NAMES.our_name(published)
        if name is None:
            # What we drop is unused, or gets nothing but rounding noise from a softmax over one key.
            assert norm is None or norm < 1e-6, published
            continue
        compared.add(name)
        grad = ours[name].grad
        assert grad is not None
        # Scales of unit vectors get a small remainder of large terms: float32 leaves it this far off.
        tolerance = 5e-3 if published.endswith("_scale") else 1e-3
        assert grad.double().norm().item() == pytest.approx(norm, rel=tolerance), published
    assert compared == set(ours)
    for output_name, spec in case.manifest["outputs"].items():
        name = NAMES.our_name(output_name.removeprefix("grad:"))
        assert name is not None
        grad = ours[name].grad
        assert grad is not None
        largest = case.data[output_name].abs().max().item()
        assert case.error(output_name, grad.reshape(spec["shape"])) < CLOSE * largest, output_name
    check_step(case, ours)


def check_step(case: Case, ours: dict[str, torch.nn.Parameter]) -> None:
    """One step of our optimizer moves parameters as AdamW's definition has it, given the golden gradients."""
    recipe = Recipe(lr=5e-5, betas=[0.9, 0.99], weight_decay=1e-4, clip_norm=1.0)
    before = {name: parameter.detach().clone() for name, parameter in ours.items()}
    norm = torch.nn.utils.clip_grad_norm_(list(ours.values()), recipe.clip_norm)
    norms = torch.tensor([n for n in case.manifest["grad_norms"].values() if n is not None])
    total = torch.linalg.vector_norm(norms).item()
    assert norm.item() == pytest.approx(total, rel=1e-3) and total > recipe.clip_norm
    make_optimizer(ours.items(), recipe).step()
    for output_name, spec in case.manifest["outputs"].items():
        published = output_name.removeprefix("grad:")
        name = NAMES.our_name(published)
        assert name is not None
        moved, start = (p.detach().flatten() for p in (ours[name], before[name]))
        if spec["stored"] == "sample":
            places = generator(case.salt, "pos:" + output_name).integers(0, moved.numel(), spec["sample_n"])
            moved, start = moved[torch.from_numpy(places)], start[torch.from_numpy(places)]
        gradient = case.data[output_name].flatten() / total
        decay = recipe.weight_decay if published.endswith("weight") else 0.0
        wanted = start * (1 - recipe.lr * decay) - recipe.lr * gradient / (gradient.abs() + recipe.eps)
        # The first step is one of signs: where there is hardly a gradient, rounding may choose another.
        clear = gradient.abs() > 1e-3 * gradient.abs().max()
        assert clear.float().mean() > 0.5
        assert (moved - wanted)[clear].abs().max() < 0.05 * recipe.lr, output_name
