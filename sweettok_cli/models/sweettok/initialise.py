"""A data-dependent start for anchored networks: everything linear is the principal components of real clips.

Patches are embedded by the components of a picture's patches, times a cosine transform over the frames of a
group, so that a still patch looks the same in every latent frame. Tokens start as the first components of
their patches; the words are mapped to where these components lie; every residual branch starts at zero.
Training then begins at the quality of a linear transform codec instead of noise.
"""

from __future__ import annotations

import math
import time

import torch
from einops import rearrange
from torch import Tensor, nn

from sweettok_cli.models.common import attention
from sweettok_cli.models.common.patches import cut_later_frames
from sweettok_cli.models.sweettok.meaning import Meaning
from sweettok_cli.models.sweettok.network import SweetTok
from sweettok_cli.models.sweettok.quantizer import LanguageQuantizer
from sweettok_cli.runtime import OnProgress, ignore_progress

# Channels of an embedding that describe change within a group of frames; the others describe its mean.
_CHANGE_SHARE = 0.25
# The mean of two codes drawn at random has half their variance: modifiers lie further out than latents.
_PAIR_SPREAD = 1.35
_CLIPS_AT_ONCE = 64
_POLISH_RATE = 1e-3
_FAINT = 0.1  # strength, in that of the strongest direction of the words, of one that is half fitted
_OFFSET_RATE = 0.05  # in standard deviations of a latent


@torch.no_grad()
def start_linear(
    model: SweetTok,
    video: Tensor,
    polish_steps: int = 200,
    *,
    polish_rows: int = 1024,
    neighbours: float = 0.0,
    on_progress: OnProgress = ignore_progress,
    until: float = math.inf,
) -> None:
    """Initialise an anchored network from clips ``video`` [n, 3, t, h, w] in [-0.5, 0.5].

    Pictures (t = 1) serve as clips in which nothing moves. Words are polished in so many steps of so many
    rows, or fewer: polishing ends ``until`` then, on the clock of :func:`time.perf_counter`. ``neighbours``
    weighs how near words of near meaning lie against how near codes lie to latents.
    """
    if video.shape[2] == 1:
        video = video.expand(-1, -1, model.config.frames, -1, -1)
    silence_branches(model)
    start_embedding(model, video)
    assert model.spatial_anchor is not None and model.temporal_anchor is not None
    spatial, temporal = model.spatial_anchor, model.temporal_anchor
    parts = video.split(_CLIPS_AT_ONCE)
    grid = model.config.patch_grid(*video.shape[-2:])

    own = torch.cat([spatial.gather(model.encoder.embed(part)) for part in parts]).flatten(0, 1)
    start_transform(model.pre_vq_spatial, spatial.to_features, own, torch.ones(own.shape[1]))
    total = 2 * polish_steps
    latents = read_latents(model.pre_vq_spatial, own)
    start_codebook(
        model.quantize_spatial, latents, polish_steps, polish_rows, neighbours,
        lambda done, _: on_progress(done, total), until,
    )  # fmt: skip

    motions = []
    for part in parts:
        embedded = model.encoder.embed(part)
        found = model.quantize_spatial(model.spatial_latents(embedded, grid)[0]).vectors
        motions.append(temporal.gather(model.motion(embedded, embedded, found, grid)))
    own = torch.cat(motions).flatten(0, 1)
    importance = temporal.importance.to(own.device)
    start_transform(model.pre_vq_temporal, temporal.to_features, own, importance)
    latents = read_latents(model.pre_vq_temporal, own)
    start_codebook(
        model.quantize_temporal, latents, polish_steps, polish_rows, neighbours,
        lambda done, _: on_progress(polish_steps + done, total), until,
    )  # fmt: skip


@torch.no_grad()
def start_words(
    model: SweetTok,
    video: Tensor,
    steps: int,
    neighbours: float = 0.0,
    rows: int = 1024,
    on_progress: OnProgress = ignore_progress,
    until: float = math.inf,
) -> None:
    """Lay out anew the words of a network that is trained, among its latents of ``video`` [n, 3, t, h, w].

    Values lie in [-0.5, 0.5]. What was learned of the words is lost, their latents stay. A network that is
    not anchored has no such start: its codes come from the words' vectors alone.
    """
    grid = model.config.patch_grid(*video.shape[-2:])
    seen = [model.spatial_latents(model.encoder.embed(part), grid)[0] for part in video.split(_CLIPS_AT_ONCE)]
    latents = torch.cat(seen).flatten(0, 1)
    start_codebook(
        model.quantize_spatial, latents, steps, rows, neighbours,
        lambda done, _: on_progress(done, 2 * steps), until,
    )  # fmt: skip
    moving = []
    for part in video.split(_CLIPS_AT_ONCE):
        embedded = model.encoder.embed(part)
        vectors, features, read = model.spatial_latents(embedded, grid)
        found = model.quantize_spatial(vectors).vectors
        moving.append(model.temporal_latents(model.motion(embedded, features, found, grid), grid, read))
    start_codebook(
        model.quantize_temporal, torch.cat(moving).flatten(0, 1), steps, rows, neighbours,
        lambda done, _: on_progress(steps + done, 2 * steps), until,
    )  # fmt: skip


def read_latents(into: nn.Linear, own: Tensor) -> Tensor:
    """What a layer blind to its query makes of ``own`` [n, k]: [n, c]."""
    weight = into.weight[:, -own.shape[1] :]
    return torch.cat([part @ weight.T + into.bias for part in own.split(4096)])


def silence_branches(model: nn.Module) -> None:
    """Make every residual branch add nothing, and window attention prefer near patches."""
    for module in model.modules():
        if isinstance(module, attention.CosineAttention | attention.SingleTokenAttention):
            nn.init.zeros_(module.to_out.weight)
        elif isinstance(module, attention.FeedForward):
            nn.init.zeros_(module.contract.weight)
        elif isinstance(module, attention.PositionConvolution):
            nn.init.zeros_(module.dsconv.weight)
            assert module.dsconv.bias is not None
            nn.init.zeros_(module.dsconv.bias)
        elif isinstance(module, attention.TimeAttention | attention.WindowAttention):
            nn.init.zeros_(module.proj.weight)
            nn.init.zeros_(module.proj.bias)
        if isinstance(module, attention.WindowAttention):
            prefer_near(module)
    decoder = dict(model.get_submodule("decoder").named_parameters())
    for name in ("mask_token", "position", "frame_position"):  # the last one of flattened networks
        if name in decoder:
            nn.init.zeros_(decoder[name])


def prefer_near(window: attention.WindowAttention) -> None:
    """A bias that falls with distance, at another rate in each head."""
    table = window.relative_position_bias_table
    side = math.isqrt(table.shape[0])
    offset = torch.arange(side, device=table.device) - side // 2
    distance = (offset[:, None].square() + offset.square()).float().sqrt().flatten()
    rates = 0.6 * 0.5 ** torch.arange(window.heads, device=table.device)
    table.copy_(-distance[:, None] * rates)


def start_embedding(model: SweetTok, video: Tensor) -> None:
    """Tied embedding and pixel head: components of patches times a cosine transform over a group's frames."""
    config, head = model.config, model.to_pixels
    first_in, later_in = model.encoder.embed_first_frame, model.encoder.embed_later_frames
    assert head is not None and isinstance(first_in, nn.Linear) and isinstance(later_in, nn.Linear)
    later = cut_later_frames(video, config.patch, config.temporal_patch)
    groups = rearrange(later, "b t h w (c z p) -> (b t h w) z (c p)", c=3, z=config.temporal_patch)
    mean = groups.mean(dim=1)
    frames, pixels = groups.shape[1:]
    static = components(mean, min(pixels, round(config.dim * (1 - _CHANGE_SHARE))))
    left = config.dim - static.shape[1]
    # Slow change matters most: half of the channels for the first cosine, half of the rest for the next.
    shares = [left >> k for k in range(1, frames - 1)]
    shares.append(left - sum(shares))
    change = components((groups - mean.unsqueeze(1)).flatten(0, 1), max(shares))
    steps = (torch.arange(frames, device=video.device) + 0.5) / frames
    basis = [torch.einsum("z,pk->kzp", torch.full_like(steps, frames**-0.5), static)]
    for k, share in enumerate(shares, start=1):
        wave = torch.cos(math.pi * k * steps)
        basis.append(torch.einsum("z,pk->kzp", wave / wave.norm(), change[:, :share]))
    transform = rearrange(torch.cat(basis), "d z (c p) -> d (c z p)", c=3)
    later_in.weight.copy_(transform)
    head.later_frames.weight.copy_(transform.T)
    # A single frame is scaled as if it stood still for a whole group.
    scale = frames**0.5
    first_in.weight.zero_()
    first_in.weight[: static.shape[1]] = scale * static.T
    head.first_frame.weight.zero_()
    head.first_frame.weight[:, : static.shape[1]] = static / scale
    for layer in (first_in, later_in, head.first_frame, head.later_frames):
        nn.init.zeros_(layer.bias)


def start_transform(into: nn.Linear, out_of: nn.Linear, own: Tensor, importance: Tensor) -> None:
    """Principal components of ``own`` [n, k], each channel weighted by ``importance`` [k], and back.

    ``into`` reads [query, own] and starts blind to the query. Latents get unit mean variance.
    """
    weighted = own * importance
    basis = components(weighted, into.out_features)  # [k, c]
    scale = (weighted @ basis).var(dim=0).mean().sqrt()
    nn.init.zeros_(into.weight)
    into.weight[:, -own.shape[1] :] = (importance[:, None] * basis / scale).T
    out_of.weight.copy_(scale * basis / importance[:, None])
    centre = own.mean(dim=0)
    into.bias.copy_(-into.weight[:, -own.shape[1] :] @ centre)
    out_of.bias.copy_(centre)


@torch.no_grad()
def start_codebook(
    quantizer: LanguageQuantizer,
    latents: Tensor,
    steps: int,
    rows: int,
    neighbours: float = 0.0,
    on_progress: OnProgress = ignore_progress,
    until: float = math.inf,
) -> None:
    """Map the words to where ``latents`` [n, c1 + c2] lie, then polish them.

    The leading directions of the words become those of the latents: of what the graph makes of their vectors
    or, where words have offsets, of the vectors themselves. ``neighbours`` is as for :func:`start_linear`.
    """
    split = [quantizer.modifiers, len(quantizer.vectors) - quantizer.modifiers]
    vectors = quantizer.vectors.split(split)
    projected = vectors if quantizer.gcn is None else quantizer.projected_words().split(split)
    lists = (
        (quantizer.to_modifier, quantizer.modifier_offsets, _PAIR_SPREAD),
        (quantizer.to_head, quantizer.head_offsets, 1.0),
    )
    parts = latents.split(list(quantizer.widths), dim=-1)
    for (layer, offsets, spread), own, words, part in zip(lists, vectors, projected, parts, strict=True):
        if quantizer.gcn is None:
            assert offsets is not None
            offsets.copy_(spread_words(torch.randn_like(offsets), part, spread)[2])
            continue
        assert isinstance(layer, nn.Linear)
        weight, bias, codes = spread_words(words, part, spread)
        if offsets is not None:
            if own.shape[1] >= part.shape[1]:
                codes = spread_words(own, part, spread)[2]
            centre = words.mean(dim=0)
            # Rounded from float64: where words lie in memory, which changes the last bits, is not seen.
            apart, wanted = (words - centre).double(), (codes - codes.mean(dim=0)).double()
            weight = fit(apart, wanted).to(words.dtype)
            bias = codes.mean(dim=0) - weight @ centre
            offsets.copy_(codes - (words @ weight.T + bias))
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    polish(quantizer, latents, steps, rows, neighbours, on_progress, until)


def fit(words: Tensor, codes: Tensor) -> Tensor:
    """The map [c, k] that takes ``words`` [n, k] near ``codes`` [n, c], and leans on no faint direction.

    Ridge regression: what it takes large weights to fit, and what a step of training would then throw far
    away, is left to the offsets. Graphs of few words make most directions faint.
    """
    left, sizes, directions = torch.linalg.svd(words, full_matrices=False)
    kept = sizes / (sizes.square() + (_FAINT * sizes[0]).square())
    return codes.T @ left @ (kept[:, None] * directions)


def spread_words(words: Tensor, latents: Tensor, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """A linear map that gives ``words`` [n, d] mean and covariance of ``latents`` [m, c], times ``factor``.

    Directions along which words vary most become those along which latents do. Returns weight [c, d], bias
    [c] and the mapped words [n, c].
    """
    width = latents.shape[1]
    values, vectors = torch.linalg.eigh(torch.cov(words.T))
    whiten = vectors[:, -width:] / values[-width:].clamp(min=1e-12).sqrt()
    values, vectors = torch.linalg.eigh(torch.cov(latents.T))
    weight = (vectors * values.clamp(min=0).sqrt()) @ whiten.T * factor
    bias = latents.mean(dim=0) - weight @ words.mean(dim=0)
    return weight, bias, words @ weight.T + bias


@torch.enable_grad()
def polish(
    quantizer: LanguageQuantizer,
    latents: Tensor,
    steps: int,
    rows: int,
    neighbours: float,
    on_progress: OnProgress,
    until: float,
) -> None:
    """Train codes on fixed ``latents`` [n, c] until they lie well among them, words near their neighbours."""
    if not steps:
        return
    free = [p for p in (quantizer.modifier_offsets, quantizer.head_offsets) if p is not None]
    shared = [p for p in quantizer.parameters() if all(p is not offset for offset in free)]
    spread = latents.std(dim=0).mean().item()
    groups = [(shared, _POLISH_RATE), (free, _OFFSET_RATE * spread)]
    groups = [(parameters, rate) for parameters, rate in groups if parameters]
    optimizer = torch.optim.Adam([{"params": parameters} for parameters, _ in groups])
    rates = [rate for _, rate in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps)
    meaning = Meaning.of(quantizer) if neighbours else None
    quantizer.train()
    for step in range(steps):
        if time.perf_counter() > until:
            break
        on_progress(step, steps)
        some = latents[torch.randint(len(latents), (rows,), device=latents.device)]
        optimizer.zero_grad()
        found = quantizer(some.unsqueeze(0))
        loss = found.codebook_loss
        if meaning is not None and found.codebook is not None:
            loss = loss + neighbours * meaning.loss(found.codebook)
        loss.backward()
        optimizer.step()
        schedule.step()
    optimizer.zero_grad()


def components(rows: Tensor, count: int, most: int = 40_000) -> Tensor:
    """The first ``count`` principal directions of ``rows`` [n, k], as columns [k, count]."""
    rows = rows[torch.randperm(len(rows), device=rows.device)[:most]]
    _, vectors = torch.linalg.eigh(torch.cov(rows.T))
    return vectors[:, -count:].flip(1).contiguous()
