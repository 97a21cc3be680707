"""The motion-enhanced language codebook: words on a graph, projected and looked up (SweetTok, section 3.3).

A token's vector has two parts. The first is quantised to the mean of two modifiers (adjectives for space,
adverbs for motion), the second to the nearest head word (noun, verb). Published: the two nearest modifiers.
With ``search``, the pair whose mean is nearest: a pair says almost twice as much when it is chosen as a pair.
With ``word_offsets``, each word moves from where its vector and the graph put it: that alone lies badly
among the latents, and keeps few of a word's neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.codebook.prior import WordGraph
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.training import collective

# Tokens whose distances to all words are held at once: about what a core's cache holds.
_ROWS = 512


@dataclass(frozen=True)
class Codebook:
    """Words as vectors: modifiers [m, c1], heads [n, c2]."""

    modifiers: Tensor
    heads: Tensor

    def look_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """ids [b, L, 3] -> mean of the two modifiers [b, L, c1], head [b, L, c2]."""
        return F.embedding(ids[..., :2], self.modifiers).mean(dim=-2), F.embedding(ids[..., 2], self.heads)


@dataclass
class Quantized:
    """What quantising [b, L, c] vectors gives.

    ``vectors`` [b, L, c]: the code vectors, with the gradient passed straight to the input (and, for
    ``straight``, to the codes). ``ids`` [b, L, 3] int64: nearest and second nearest modifier (or the best
    pair, smaller id first), head; each counts from 0 in its own list. ``commitment_loss`` draws the input to
    the codes, ``codebook_loss`` the codes to the input; both are weighted. (The published code reports the
    first as "codebook_loss" and the second as "commitment_loss", the reverse of common use.)
    ``codebook``: the codes that were chosen from, with their gradient; None where nothing was quantised.
    """

    vectors: Tensor
    ids: Tensor
    commitment_loss: Tensor
    codebook_loss: Tensor
    codebook: Codebook | None

    @property
    def loss(self) -> Tensor:
        """The sum that is added to the training loss."""
        return self.commitment_loss + self.codebook_loss


class GraphConvolution(nn.Module):
    """One graph convolution: ``A (x W^T) + b`` with the normalised adjacency A (Kipf and Welling, 2017)."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.lin = nn.Linear(width_in, width_out, bias=False)
        self.bias = nn.Parameter(torch.zeros(width_out))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """x [n, width_in], sparse adjacency [n, n] -> [n, width_out]."""
        return torch.sparse.mm(adjacency, self.lin(x)) + self.bias


class GraphProjector(nn.Module):
    """Two graph convolutions that turn word vectors into codes."""

    def __init__(self, width_in: int, width_out: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = GraphConvolution(width_in, width_out)
        self.conv2 = GraphConvolution(width_out, width_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, adjacency: Tensor) -> Tensor:
        """[n, width_in] -> [n, width_out]."""
        return self.conv2(self.dropout(F.relu(self.conv1(vectors, adjacency))), adjacency)


def normalised_adjacency(edges: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Indices [2, 2e + n] and values of ``D^-1/2 (Adj + I) D^-1/2``, sorted, duplicates summed."""
    loops = torch.arange(nodes, device=edges.device).expand(2, -1)
    indices = torch.cat([edges, edges.flip(0), loops], dim=1)
    scale = torch.bincount(indices[1], minlength=nodes).float().rsqrt()
    values = scale[indices[0]] * scale[indices[1]]
    matrix = torch.sparse_coo_tensor(indices, values, (nodes, nodes), check_invariants=False).coalesce()
    return matrix.indices(), matrix.values()


class LanguageQuantizer(nn.Module):
    """Quantises token vectors to words; the words and their graph are buffers and travel with the weights."""

    vectors: Tensor
    edges: Tensor
    gcn: GraphProjector | None  # None: no code comes from a vector
    modifier_offsets: nn.Parameter | None  # [m, c1], or None: words lie where their vectors put them
    head_offsets: nn.Parameter | None  # [n, c2]

    def __init__(
        self, words: WordGraph, config: SweetTokConfig, widths: tuple[int, int] | None = None
    ) -> None:
        """Projected words are mapped to the ``widths`` (modifier, head), or else taken as they are."""
        super().__init__()
        self.config = config
        self.modifiers = len(words.modifiers)
        self.widths = widths or (config.code_dim, config.code_dim)
        vectors = torch.from_numpy(words.vectors).float()
        if config.codebook == "random":
            vectors = torch.randn_like(vectors) * vectors.std()
        edges = torch.from_numpy(words.edges).long()
        self.register_buffer("vectors", vectors)
        self.register_buffer("edges", edges if config.graph else edges[:, :0].clone())
        self.gcn = None
        self.to_modifier: nn.Module = nn.Identity()
        self.to_head: nn.Module = nn.Identity()
        if config.codebook != "learned":
            self.gcn = GraphProjector(vectors.shape[1], config.code_dim, config.code_dropout)
            if widths:
                self.to_modifier = nn.Linear(config.code_dim, widths[0])
                self.to_head = nn.Linear(config.code_dim, widths[1])
        self.modifier_offsets = self.head_offsets = None
        if config.word_offsets or config.codebook == "learned":
            # Codes without a vector begin as long as published latents are, which have unit norm.
            spread = sum(self.widths) ** -0.5 if config.codebook == "learned" else 0.0
            sizes = self.modifiers, len(vectors) - self.modifiers
            self.modifier_offsets, self.head_offsets = (
                nn.Parameter(spread * torch.randn(size, width))
                for size, width in zip(sizes, self.widths, strict=True)
            )
        self.frozen = False
        self._projected: tuple[tuple[object, ...], Codebook] | None = None
        self.register_load_state_dict_post_hook(LanguageQuantizer._forget)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of words behind each of the three ids."""
        return self.modifiers, self.modifiers, self.vectors.shape[0] - self.modifiers

    @property
    def bits(self) -> float:
        """Of a token."""
        return math.fsum(map(math.log2, self.sizes))

    def _forget(self, _incompatible: object = None) -> None:
        self._projected = None

    def freeze_codebook(self) -> None:
        """Make the codebook a constant, in training mode too: no dropout, no gradient."""
        self.frozen = True
        self.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> LanguageQuantizer:
        """As for any module, but a frozen codebook stays free of dropout."""
        super().train(mode)
        if self.frozen and self.gcn is not None:
            self.gcn.eval()
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LanguageQuantizer:
        # Follow the network to another device, not to a narrower type: rounded codes are other codes.
        def move(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        super()._apply(move, recurse)
        self._forget()
        return self

    def codebook(self) -> Codebook:
        """The projected words in float32: modifiers [m, c1] and heads [n, c2].

        A constant codebook (no dropout, no gradient asked for) is projected once and kept until its
        parameters, its words or its device change.
        """
        learning = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if learning or (self.gcn is not None and self.gcn.training):
            return self._project()
        sources = [*self.parameters(), self.vectors, self.edges]
        key = tuple((s.data_ptr(), None if s.is_inference() else s._version) for s in sources)
        if self._projected is None or self._projected[0] != key:
            # A codebook projected during inference must still be usable by a later training step.
            with torch.inference_mode(False), torch.no_grad():
                self._projected = (key, self._project())
        return self._projected[1]

    def projected_words(self) -> Tensor:
        """All words after the graph convolutions [n, code_dim], modifiers first.

        Raises ValueError for codes that no vector is behind.
        """
        if self.gcn is None:
            raise ValueError("learned codes come from no words")
        nodes = self.vectors.shape[0]
        with torch.autocast(self.vectors.device.type, enabled=False):
            indices, values = normalised_adjacency(self.edges, nodes)
            adjacency = torch.sparse_coo_tensor(
                indices, values, (nodes, nodes), check_invariants=False, is_coalesced=True
            )
            return self.gcn(self.vectors, adjacency)

    def _project(self) -> Codebook:
        if self.gcn is None:
            assert self.modifier_offsets is not None and self.head_offsets is not None
            return Codebook(self.modifier_offsets.float(), self.head_offsets.float())
        words = self.projected_words()
        with torch.autocast(words.device.type, enabled=False):
            modifiers = self.to_modifier(words[: self.modifiers])
            heads = self.to_head(words[self.modifiers :])
            if self.modifier_offsets is not None and self.head_offsets is not None:
                modifiers, heads = modifiers + self.modifier_offsets, heads + self.head_offsets
            return Codebook(modifiers, heads)

    def forward(self, z: Tensor) -> Quantized:
        """z [b, L, c1 + c2] -> :class:`Quantized`. Distances are float32 whatever the input is."""
        config, z = self.config, z.float()
        if not z.shape[1]:
            # A single image has no motion. Words that are not asked for must not hang on what comes out:
            # several processes would wait for a gradient of theirs.
            none = z.new_zeros(())
            return Quantized(z, z.new_zeros(len(z), 0, 3, dtype=torch.int64), none, none, None)
        codes = self.codebook()
        first, second = z.split(list(self.widths), dim=-1)
        with torch.autocast(z.device.type, enabled=False):
            with torch.no_grad():
                if config.search:
                    pair = best_pair(first, codes.modifiers, config.search)
                else:
                    pair = nearest(first, codes.modifiers, 2)
                ids = torch.cat([pair, nearest(second, codes.heads, 1)], dim=-1)
            found_first, found_second = codes.look_up(ids)
            pull = F.mse_loss(first, found_first.detach()) + F.mse_loss(second, found_second.detach())
            push = F.mse_loss(found_first, first.detach()) + F.mse_loss(found_second, second.detach())
            push = config.codebook_weight * push
            if config.coverage_weight and self.training and not self.frozen:
                idle = coverage(codes.modifiers, first.detach()) + coverage(codes.heads, second.detach())
                push = push + config.coverage_weight * idle
        found = torch.cat([found_first, found_second], dim=-1)
        # The forward value is exactly the code: z - z is 0, while z + (code - z) would round.
        vectors = found.detach() + (z - z.detach())
        if config.straight:
            vectors = vectors + config.straight * (found - found.detach())
        return Quantized(vectors, ids, config.encoder_weight * pull, push, codes)

    def codes(self, ids: Tensor) -> Tensor:
        """ids [b, L, 3] -> the code vectors [b, L, c1 + c2] that quantising gave for them."""
        return torch.cat(self.codebook().look_up(ids.long()), dim=-1)


def nearest(z: Tensor, codes: Tensor, count: int) -> Tensor:
    """Ids [b, L, count] of the nearest codes [n, c] of z [b, L, c], nearest first."""
    ids = [
        squared_distances(part, codes).topk(count, dim=-1, largest=False).indices
        for part in z.flatten(0, -2).split(_ROWS)
    ]
    return torch.cat(ids).view(*z.shape[:-1], count)


def best_pair(z: Tensor, codes: Tensor, tries: int) -> Tensor:
    """Ids [b, L, 2] of a pair of codes [n, c] whose mean is near z [b, L, c], the smaller id first.

    Each of the ``tries`` nearest codes a is given the partner nearest to 2z - a, which is the best for it. A
    pair is often found from both its ends, and rounding must not choose its order.
    """
    first = nearest(z, codes, tries)  # [b, L, tries]
    wanted = 2 * z.unsqueeze(-2) - codes[first]
    partner = nearest(wanted, codes, 1)  # [b, L, tries, 1]
    error = (wanted - codes[partner.squeeze(-1)]).square().sum(-1)
    best = error.argmin(-1, keepdim=True)
    pair = torch.cat([first.gather(-1, best), partner.squeeze(-1).gather(-1, best)], dim=-1)
    return pair.sort(dim=-1).values


def coverage(codes: Tensor, z: Tensor, sample: int = 256) -> Tensor:
    """Mean squared distance, per channel, of some random codes [n, c] to the nearest of some z [b, L, c].

    Of several processes all find the same, among the z of all.
    """
    rows = z.flatten(0, -2)
    places = torch.randint(len(rows) * collective.processes(), (4 * sample,), device=z.device)
    rows = collective.rows(rows, places)
    codes = codes[torch.randint(len(codes), (sample,), device=z.device)]
    closest = rows[nearest(codes.detach(), rows, 1).squeeze(-1)]
    return F.mse_loss(codes, closest)


def squared_distances(z: Tensor, codes: Tensor) -> Tensor:
    """z [b, L, c], codes [n, c] -> [b, L, n]."""
    return z.square().sum(-1, keepdim=True) + codes.square().sum(-1) - 2 * z @ codes.T
