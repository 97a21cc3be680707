"""How likely symbols are: the same as over all symbols with a mask, whatever the layout."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sequences.videos import dense, grid, ragged

from sweettok_cli.generation.choices import FEW
from sweettok_cli.generation.config import GeneratorConfig
from sweettok_cli.generation.network import UNLEARNED, Generator, build_network
from sweettok_cli.generation.videos import SymbolVideos, TokenVideo
from sweettok_cli.generation.windows import WindowBatch, Windows, WindowSource
from sweettok_cli.sequences.sequence import Walk
from sweettok_cli.tokens import Tokens

LLAMA = GeneratorConfig(layers=2, heads=2, width=32, inner=48)
GPT2 = GeneratorConfig("gpt2", layers=2, heads=2, width=32, inner=64, places=2000)


def held(tokens: list[Tokens], label: str | None = None) -> SymbolVideos:
    return SymbolVideos(TokenVideo(f"{n}.npz", label, each) for n, each in enumerate(tokens))


def tensors(batch: WindowBatch) -> list[torch.Tensor]:
    return [torch.from_numpy(a) for a in (batch.symbols, batch.targets, batch.lists, batch.few)]


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
@pytest.mark.parametrize(
    "tokens",
    [[dense(0), dense(1, clips=1)], [ragged(0), ragged(1, clips=2, busy=0.3)], [grid(0), grid(1)]],
    ids=["dense", "levels", "grid"],
)
def test_it_is_that_of_all_symbols_with_a_mask(tokens: list[Tokens], config: GeneratorConfig) -> None:
    videos = held(tokens, "Archery")
    torch.manual_seed(0)
    generator = Generator(build_network(config, videos.order.vocabulary), videos.order.vocabulary).eval()
    windows = Windows(videos.order, 2)
    batch = windows.batch([windows.of(video, 0, video.label) for video in videos.videos], ["a", "b"])
    symbols, targets, *rest = tensors(batch)
    unlikely, loss = generator(symbols, targets, *rest)
    smoothed = generator(symbols, targets, *rest, 0.1)[1]
    logits = generator.network(symbols, use_cache=False).logits
    wanted, every = [], []
    for row, video in enumerate(videos.videos):
        # What may come next, as those say who follow a video symbol by symbol.
        walk = Walk(videos.order)
        known = np.flatnonzero(batch.targets[row] != UNLEARNED)
        for place in range(known[-1] + 1):
            walk.push(int(symbols[row, place]))
            if place == 0:
                continue
            may = torch.zeros(logits.shape[-1], dtype=torch.bool)
            for start, end in walk.next():
                may[start:end] = True
            scores = logits[row, place].masked_fill(~may, -torch.inf)
            target = targets[row, place]
            wanted.append(F.cross_entropy(scores[None], target[None]))
            assert unlikely[row, place].item() == pytest.approx(wanted[-1].item(), abs=1e-5)
            every.append(-scores.log_softmax(0)[may].mean())
        more = len(video.clips) > 2
        assert targets[row, known[-1]] == videos.order.vocabulary.special("clip" if more else "end")
    assert loss.item() == pytest.approx(torch.stack(wanted).mean().item(), rel=1e-5)
    mixed = 0.9 * torch.stack(wanted).mean() + 0.1 * torch.stack(every).mean()
    assert smoothed.item() == pytest.approx(mixed.item(), rel=1e-5)
    assert unlikely[0, 0] == 0 and not loss.isnan()


def test_gradients_reach_what_is_read_and_what_may_follow() -> None:
    videos = held([dense(0)])
    generator = Generator(build_network(GPT2, videos.order.vocabulary), videos.order.vocabulary)
    windows = Windows(videos.order, 1)
    batch = windows.batch([windows.of(videos.videos[0], 0, None)], ["a"])
    generator(*tensors(batch))[1].backward()
    head = generator.network.get_output_embeddings().weight.grad
    assert head is not None
    rows = head.abs().sum(1)
    code = videos.order.vocabulary
    assert (
        (rows[FEW:] > 0).all()
        and (rows[:FEW] > 0).nonzero().flatten().tolist()
        == [
            code.special("end"),
            code.special("clip"),
        ]
    ) or (rows[:FEW] > 0).sum() == 2


def test_batches_are_a_function_of_their_number() -> None:
    videos = held([dense(n, clips=3) for n in range(4)], "Archery")
    windows = Windows(videos.order, 2)
    alone = WindowSource(windows, videos.videos, 4, seed=3, label_dropout=0.5)
    again = WindowSource(windows, videos.videos, 4, seed=3, label_dropout=0.5)
    last, first = again.batch(5), again.batch(0)
    assert np.array_equal(alone.batch(0).symbols, first.symbols)
    assert np.array_equal(alone.batch(5).symbols, last.symbols)
    # Two processes see what one sees with twice the batch.
    halves = [WindowSource(windows, videos.videos, 2, 3, 0.5, rank, 2).batch(5).symbols for rank in (0, 1)]
    assert np.array_equal(np.concatenate(halves), last.symbols)
    # An epoch is every window once: two of each video.
    seen = [row for number in range(2) for row in alone.batch(number).symbols]
    assert len({row[2:].tobytes() for row in seen}) == 8
    labels = {int(row[1]) for number in range(8) for row in alone.batch(number).symbols}
    assert labels == {videos.order.vocabulary.label("Archery"), videos.order.vocabulary.label(None)}
