from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from sweettok_cli.codebook.prior import WordGraph
from sweettok_cli.models.sweettok.config import SweetTokConfig
from sweettok_cli.models.sweettok.quantizer import (
    Codebook,
    LanguageQuantizer,
    normalised_adjacency,
)
from sweettok_cli.tokens.layout import bits_in

MODIFIERS, HEADS, WIDTH, CODE = 7, 5, 6, 8
PUBLISHED = SweetTokConfig(code_dim=CODE)


def rows(codebook: Codebook) -> Tensor:
    """Both parts of a codebook of one width, modifiers first."""
    return torch.cat([codebook.modifiers, codebook.heads])


@pytest.fixture
def words() -> WordGraph:
    edges = np.array([[0, 1, 2, 2, 6, 6], [7, 8, 9, 9, 11, 10]])
    vectors = np.random.default_rng(0).normal(size=(MODIFIERS + HEADS, WIDTH)).astype(np.float32)
    return WordGraph([f"m{i}" for i in range(MODIFIERS)], [f"h{i}" for i in range(HEADS)], vectors, edges)


@pytest.fixture
def quantizer(words: WordGraph) -> LanguageQuantizer:
    return LanguageQuantizer(words, PUBLISHED).eval()


def dense_adjacency(words: WordGraph) -> Tensor:
    n = len(words.vectors)
    adjacency = torch.eye(n)
    for a, b in words.edges.T.tolist():
        adjacency[a, b] += 1
        adjacency[b, a] += 1
    scale = adjacency.sum(0).rsqrt()
    return scale[:, None] * adjacency * scale[None]


def test_adjacency_counts_both_directions_and_duplicates(words: WordGraph) -> None:
    n = len(words.vectors)
    indices, values = normalised_adjacency(torch.from_numpy(words.edges), n)
    sparse = torch.sparse_coo_tensor(indices, values, (n, n), check_invariants=True).to_dense()
    assert torch.allclose(sparse, dense_adjacency(words))


def test_codebook_is_two_graph_convolutions(quantizer: LanguageQuantizer, words: WordGraph) -> None:
    a, first, second = dense_adjacency(words), quantizer.gcn.conv1, quantizer.gcn.conv2
    hidden = torch.relu(a @ quantizer.vectors @ first.lin.weight.T + first.bias)
    expected = a @ hidden @ second.lin.weight.T + second.bias
    assert torch.allclose(rows(quantizer.codebook()), expected, atol=1e-6)


def test_nearest_two_modifiers_and_nearest_head(quantizer: LanguageQuantizer) -> None:
    z = torch.randn(2, 9, 2 * CODE)
    result = quantizer(z)
    codes = rows(quantizer.codebook())
    for b in range(2):
        for i in range(9):
            modifiers = (codes[:MODIFIERS] - z[b, i, :CODE]).norm(dim=-1).argsort()[:2]
            head = (codes[MODIFIERS:] - z[b, i, CODE:]).norm(dim=-1).argmin()
            assert result.ids[b, i].tolist() == [*modifiers.tolist(), head.item()]
            vector = torch.cat([codes[modifiers].mean(0), codes[MODIFIERS + head]])
            assert torch.allclose(result.vectors[b, i], vector, atol=1e-6)


def test_ids_name_exactly_the_vectors(quantizer: LanguageQuantizer) -> None:
    result = quantizer(torch.randn(3, 9, 2 * CODE))
    assert quantizer.codes(result.ids).equal(result.vectors)
    assert quantizer.codes(result.ids[1:2]).equal(result.vectors[1:2])
    assert quantizer.codes(result.ids.to(torch.uint8)).equal(result.vectors)


def test_a_token_has_the_bits_that_its_file_counts(quantizer: LanguageQuantizer) -> None:
    sizes = [MODIFIERS, MODIFIERS, HEADS]
    assert 9 * quantizer.bits == pytest.approx(bits_in("spatial", (9, 3), sizes))


def test_losses_and_where_their_gradients_go(quantizer: LanguageQuantizer) -> None:
    z = torch.randn(2, 4, 2 * CODE, requires_grad=True)
    result = quantizer(z)
    square = (result.vectors - z).detach().square()
    expected = square[..., :CODE].mean() + square[..., CODE:].mean()
    assert result.commitment_loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert result.codebook_loss.item() == pytest.approx(0.25 * expected.item(), rel=1e-5)

    result.commitment_loss.backward(retain_graph=True)
    assert z.grad is not None
    assert z.grad.abs().sum() > 0
    assert all(p.grad is None for p in quantizer.gcn.parameters())
    z.grad = None
    result.codebook_loss.backward(retain_graph=True)
    assert z.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in quantizer.gcn.parameters())

    result.vectors.sum().backward()
    assert z.grad is not None
    assert z.grad.equal(torch.ones_like(z))


def test_no_tokens_cost_nothing(quantizer: LanguageQuantizer) -> None:
    result = quantizer(torch.zeros(2, 0, 2 * CODE))
    assert result.ids.shape == (2, 0, 3)
    assert result.loss.item() == 0


def test_words_that_are_not_asked_for_do_not_hang_on_the_result(quantizer: LanguageQuantizer) -> None:
    """A step on pictures has no motion: several processes would wait for gradients of its words."""
    empty = quantizer(torch.zeros(2, 0, sum(quantizer.widths)))
    assert empty.vectors.shape == (2, 0, sum(quantizer.widths)) and empty.ids.shape == (2, 0, 3)
    assert empty.vectors.grad_fn is None and not empty.loss.requires_grad


def test_constant_codebook_is_projected_once(quantizer: LanguageQuantizer) -> None:
    with torch.no_grad():
        first = quantizer.codebook()
        assert quantizer.codebook() is first
        quantizer.gcn.conv2.bias.add_(1)
        assert torch.allclose(rows(quantizer.codebook()), rows(first) + 1)


def test_loaded_weights_replace_the_projection(quantizer: LanguageQuantizer, words: WordGraph) -> None:
    other = LanguageQuantizer(words, PUBLISHED).eval()
    with torch.inference_mode():
        expected, _ = other.codebook(), quantizer.codebook()
        quantizer.load_state_dict(other.state_dict(), assign=True)
        assert rows(quantizer.codebook()).equal(rows(expected))


def test_projection_made_in_inference_serves_training(quantizer: LanguageQuantizer) -> None:
    quantizer.freeze_codebook()
    with torch.inference_mode():
        quantizer.codebook()
    assert not rows(quantizer.codebook()).is_inference()
    z = torch.randn(1, 3, 2 * CODE, requires_grad=True)
    quantizer(z).loss.backward()
    assert z.grad is not None


def test_training_drops_out_until_frozen(quantizer: LanguageQuantizer) -> None:
    constant = rows(quantizer.codebook()).detach()
    quantizer.train()
    assert not torch.allclose(rows(quantizer.codebook()), rows(quantizer.codebook()))
    quantizer.freeze_codebook()
    quantizer.train()
    assert rows(quantizer.codebook()).equal(constant)
    assert quantizer.codebook() is quantizer.codebook()
    assert not rows(quantizer.codebook()).requires_grad


def test_narrow_types_leave_ids_alone(quantizer: LanguageQuantizer) -> None:
    z = torch.randn(4, 50, 2 * CODE)
    expected = quantizer(z).ids
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert quantizer(z).ids.equal(expected)
    narrow = copy.deepcopy(quantizer).to(torch.bfloat16)
    assert narrow.codebook().heads.dtype == torch.float32
    assert narrow(z).ids.equal(expected)


def test_blank_words_are_filled_by_a_state_dict(quantizer: LanguageQuantizer, words: WordGraph) -> None:
    zeros = replace(words, vectors=np.zeros_like(words.vectors), edges=np.zeros_like(words.edges))
    blank = LanguageQuantizer(zeros, PUBLISHED)
    blank.load_state_dict(quantizer.state_dict())
    assert rows(blank.eval().codebook()).equal(rows(quantizer.codebook()))
    assert blank.sizes == (MODIFIERS, MODIFIERS, HEADS)


@pytest.mark.parametrize("widths", [None, (4, 3)])
def test_offsets_are_added_to_what_vectors_give(words: WordGraph, widths: tuple[int, int] | None) -> None:
    torch.manual_seed(0)
    plain = LanguageQuantizer(words, PUBLISHED, widths).eval()
    moved = LanguageQuantizer(words, replace(PUBLISHED, word_offsets=True), widths).eval()
    moved.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(moved.codebook().modifiers, plain.codebook().modifiers)
    assert moved.modifier_offsets is not None
    with torch.no_grad():
        moved.modifier_offsets[1] += 0.5
    torch.testing.assert_close(moved.codebook().modifiers[1], plain.codebook().modifiers[1] + 0.5)
    torch.testing.assert_close(moved.codebook().heads, plain.codebook().heads)


def test_learned_codes_have_no_vectors_behind_them(words: WordGraph) -> None:
    learned = LanguageQuantizer(words, replace(PUBLISHED, codebook="learned"))
    assert {name for name, _ in learned.named_parameters()} == {"modifier_offsets", "head_offsets"}
    codes = rows(learned.codebook())  # each as long as half of a vector of unit norm
    assert codes.norm(dim=-1).mean().item() == pytest.approx(0.5**0.5, rel=0.1)
    with pytest.raises(ValueError, match="come from no words"):
        learned.projected_words()
    learned.train()(codes[:5].unsqueeze(0).repeat(1, 1, 2).detach()).loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in learned.parameters())
    learned.freeze_codebook()
    assert not any(p.requires_grad for p in learned.parameters())


def test_random_vectors_take_the_place_of_the_words(words: WordGraph) -> None:
    torch.manual_seed(0)
    random = LanguageQuantizer(words, replace(PUBLISHED, codebook="random"))
    given = torch.from_numpy(words.vectors)
    assert random.vectors.shape == given.shape
    assert not random.vectors.isclose(given).any()
    assert random.vectors.std().item() == pytest.approx(given.std().item(), rel=0.2)


def test_without_the_graph_each_word_stands_alone(words: WordGraph) -> None:
    alone = LanguageQuantizer(words, replace(PUBLISHED, graph=False)).eval()
    first, second = alone.gcn.conv1, alone.gcn.conv2
    hidden = torch.relu(alone.vectors @ first.lin.weight.T + first.bias)
    torch.testing.assert_close(alone.projected_words(), hidden @ second.lin.weight.T + second.bias)
