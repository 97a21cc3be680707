"""The motion-enhanced language codebook: words on a graph, projected and looked up (SweetTok, section 3.3).

A token's vector has two halves. The first is quantised to the mean of the two nearest modifiers (adjectives
for space, adverbs for motion), the second to the nearest head word (noun, verb).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class WordGraphTensors:
    """Words of one codebook: modifiers first, then heads.

    ``vectors`` [n, d] float32; ``edges`` [2, e] int64, each pair listed once and used in both directions (a
    pair listed twice counts twice); ``modifiers`` is the number of modifier rows.
    """

    vectors: Tensor
    edges: Tensor
    modifiers: int

    @classmethod
    def blank(cls, modifiers: int, heads: int, width: int, edges: int) -> WordGraphTensors:
        """Zeros of the right shapes, for a network whose words come with its weights."""
        return cls(torch.zeros(modifiers + heads, width), torch.zeros(2, edges, dtype=torch.int64), modifiers)


@dataclass(frozen=True)
class LanguagePrior:
    """The two word graphs of a network: adjectives and nouns, adverbs and verbs."""

    spatial: WordGraphTensors
    temporal: WordGraphTensors


@dataclass
class Quantized:
    """What quantising [b, L, 2c] vectors gives.

    ``vectors`` [b, L, 2c]: the code vectors, with the gradient passed straight to the input. ``ids`` [b, L,
    3] int64: nearest modifier, second nearest modifier, head; each counts from 0 in its own list.
    ``encoder_loss`` draws the input to the codes, ``codebook_loss`` the codes to the input; both are
    weighted. (The published code reports the first as "codebook_loss" and the second as "commitment_loss",
    the reverse of common use.)
    """

    vectors: Tensor
    ids: Tensor
    encoder_loss: Tensor
    codebook_loss: Tensor

    @property
    def loss(self) -> Tensor:
        """The sum that is added to the training loss."""
        return self.encoder_loss + self.codebook_loss


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

    def __init__(
        self,
        words: WordGraphTensors,
        code_dim: int,
        dropout: float = 0.5,
        encoder_weight: float = 1.0,
        codebook_weight: float = 0.25,
    ) -> None:
        super().__init__()
        self.modifiers = words.modifiers
        self.encoder_weight = encoder_weight
        self.codebook_weight = codebook_weight
        self.register_buffer("vectors", words.vectors.float())
        self.register_buffer("edges", words.edges.long())
        self.gcn = GraphProjector(words.vectors.shape[1], code_dim, dropout)
        self.frozen = False
        self._projected: tuple[tuple[object, ...], Tensor] | None = None
        self.register_load_state_dict_post_hook(LanguageQuantizer._forget)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Number of words behind each of the three ids."""
        return self.modifiers, self.modifiers, self.vectors.shape[0] - self.modifiers

    def _forget(self, _incompatible: object = None) -> None:
        self._projected = None

    def freeze_codebook(self) -> None:
        """Make the codebook a constant, in training mode too: no dropout, no gradient."""
        self.frozen = True
        self.gcn.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> LanguageQuantizer:
        """As for any module, but a frozen codebook stays free of dropout."""
        super().train(mode)
        if self.frozen:
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

    def codebook(self) -> Tensor:
        """The projected words [n, code_dim] in float32, modifiers first.

        A constant codebook (no dropout, no gradient asked for) is projected once and kept until its
        parameters, its words or its device change.
        """
        learning = torch.is_grad_enabled() and any(p.requires_grad for p in self.gcn.parameters())
        if learning or self.gcn.training:
            return self._project()
        sources = [*self.gcn.parameters(), self.vectors, self.edges]
        key = tuple((s.data_ptr(), None if s.is_inference() else s._version) for s in sources)
        if self._projected is None or self._projected[0] != key:
            # A codebook projected during inference must still be usable by a later training step.
            with torch.inference_mode(False), torch.no_grad():
                self._projected = (key, self._project())
        return self._projected[1]

    def _project(self) -> Tensor:
        nodes = self.vectors.shape[0]
        with torch.autocast(self.vectors.device.type, enabled=False):
            indices, values = normalised_adjacency(self.edges, nodes)
            adjacency = torch.sparse_coo_tensor(
                indices, values, (nodes, nodes), check_invariants=False, is_coalesced=True
            )
            return self.gcn(self.vectors, adjacency)

    def forward(self, z: Tensor) -> Quantized:
        """z [b, L, 2*code_dim] -> :class:`Quantized`. Distances are float32 whatever the input is."""
        z = z.float()
        codes = self.codebook()
        first, second = z.chunk(2, dim=-1)
        with torch.autocast(z.device.type, enabled=False), torch.no_grad():
            pair = squared_distances(first, codes[: self.modifiers]).topk(2, dim=-1, largest=False).indices
            head = squared_distances(second, codes[self.modifiers :]).argmin(dim=-1, keepdim=True)
        ids = torch.cat([pair, head], dim=-1)
        found_first, found_second = self._look_up(ids, codes)
        pull = mean_square(first, found_first.detach()) + mean_square(second, found_second.detach())
        push = mean_square(found_first, first.detach()) + mean_square(found_second, second.detach())
        found = torch.cat([found_first, found_second], dim=-1)
        return Quantized(
            # The forward value is exactly the code: z - z is 0, while z + (code - z) would round.
            vectors=found.detach() + (z - z.detach()),
            ids=ids,
            encoder_loss=self.encoder_weight * pull,
            codebook_loss=self.codebook_weight * push,
        )

    def codes(self, ids: Tensor) -> Tensor:
        """ids [b, L, 3] -> the code vectors [b, L, 2*code_dim] that quantising gave for them."""
        return torch.cat(self._look_up(ids.long(), self.codebook()), dim=-1)

    def _look_up(self, ids: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        modifier = F.embedding(ids[..., :2], codes[: self.modifiers]).mean(dim=-2)
        head = F.embedding(ids[..., 2], codes[self.modifiers :])
        return modifier, head


def squared_distances(z: Tensor, codes: Tensor) -> Tensor:
    """z [b, L, c], codes [n, c] -> [b, L, n]."""
    return z.square().sum(-1, keepdim=True) + codes.square().sum(-1) - 2 * z @ codes.T


def mean_square(a: Tensor, b: Tensor) -> Tensor:
    """Mean of squared differences; 0, not NaN, when a clip has no tokens of this kind (a single image)."""
    if a.numel() == 0:
        return a.new_zeros(())
    return F.mse_loss(a, b)
