"""Drawing clips: what comes out is a video in either layout, the same again for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from sequences.videos import dense, described, ragged
from small_generator import TINY, save_generator
from transformers import AutoModelForCausalLM, AutoTokenizer, StaticCache

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.config import make_config
from sweettok_cli.generation.folder import GeneratorCard, make_tokenizer, write_generator
from sweettok_cli.generation.generator import VideoGenerator
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.processor import Grammar
from sweettok_cli.generation.sampling import Drawing
from sweettok_cli.generation.videos import SymbolVideos, TokenVideo
from sweettok_cli.generation.wish import Wish
from sweettok_cli.tokens import Tokens


def same(one: Tokens, other: Tokens) -> bool:
    return one.meta == other.meta and all(np.array_equal(a, other.arrays[n]) for n, a in one.arrays.items())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Generators with random weights, that know two classes and two clips together; with levels, or not."""
    root, found = tmp_path_factory.mktemp("generators"), {}
    for levels in (False, True):
        make = ragged if levels else dense
        given = [TokenVideo(f"{n}.npz", f"class {n}", make(n)) for n in range(2)]
        videos = SymbolVideos(given)
        card = GeneratorCard("made-up", make_config(TINY), videos.order.vocabulary, videos.like, 2)
        torch.manual_seed(1)
        network = Generator(build_network(card.config, card.vocabulary), card.vocabulary)
        with torch.no_grad():
            for matrix in (p for p in network.parameters() if p.ndim > 1):
                matrix.normal_(std=1.5 * matrix.shape[1] ** -0.5)  # so that what is read matters
        found[levels] = root / str(levels)
        write_generator(found[levels], network, card, make_tokenizer(card.vocabulary, None))
    return found


@pytest.fixture(scope="module")
def generators(folders: dict[bool, Path]) -> dict[bool, VideoGenerator]:
    return {levels: VideoGenerator(folder, "cpu") for levels, folder in folders.items()}


@pytest.mark.parametrize("levels", [False, True])
def test_what_is_drawn_is_a_video(generators: dict[bool, VideoGenerator], levels: bool) -> None:
    drawing = Drawing(temperature=0.9, top_k=20, top_p=0.9, guidance=2.0)
    wish = Wish("class 1", frames=17 * 3 - 5, seed=4, drawing=drawing)
    told: list[float] = []
    found = list(generators[levels].generate(3, wish, 2, lambda done, total: told.append(done / total)))
    for tokens in found:
        tokens.check()
        assert tokens.meta.clips == 3 and tokens.meta.frames == 46 and not tokens.meta.image
        assert bool(tokens.meta.levels) is levels
    assert not same(found[0], found[1]) and told[-1] == 1.0
    again = list(generators[levels].generate(3, wish, 3))
    assert all(map(same, found, again)), "whatever is drawn at once"
    others = list(generators[levels].generate(1, replace(wish, seed=5)))
    assert not same(found[0], others[0])


def test_no_guidance_is_one_and_more_is_another(generators: dict[bool, VideoGenerator]) -> None:
    generator = generators[False]
    plain, guided = (
        next(generator.generate(1, Wish("class 0", drawing=Drawing(guidance=g)))) for g in (1.0, 4.0)
    )
    of_none = next(generator.generate(1, Wish(drawing=Drawing())))
    assert not same(plain, guided) and not same(plain, of_none)
    # At 0, a class has no say at all.
    away = next(generator.generate(1, Wish("class 0", drawing=Drawing(guidance=0.0))))
    assert same(away, of_none)


def test_a_prompt_stays_and_what_follows_depends_on_it(generators: dict[bool, VideoGenerator]) -> None:
    for levels, make in ((False, dense), (True, ragged)):
        one, other = (make(seed, clips=2) for seed in (7, 8))
        short = replace(one.meta, frames=30)  # of which the second clip is filled up
        wishes = [Wish(prompt=one, frames=51), Wish(prompt=other, frames=51)]
        first, second = (next(generators[levels].generate(1, wish)) for wish in wishes)
        assert first.meta.clips == 3
        assert np.array_equal(first.arrays["spatial"][:2], one.arrays["spatial"])
        assert not np.array_equal(first.arrays["spatial"][2], second.arrays["spatial"][2])
        first_only = next(generators[levels].generate(1, replace(wishes[0], prompt_clips=1)))
        assert first_only.meta.clips == 3
        assert np.array_equal(first_only.arrays["spatial"][0], one.arrays["spatial"][0])
        assert not np.array_equal(first_only.arrays["spatial"][1], one.arrays["spatial"][1])
        cut = next(generators[levels].generate(1, Wish(prompt=Tokens(one.arrays, short))))
        assert cut.meta.frames == 34
        assert np.array_equal(cut.arrays["spatial"][0], one.arrays["spatial"][0])


def test_a_picture_is_the_first_frame(generators: dict[bool, VideoGenerator]) -> None:
    source = dense(3, clips=1)
    shapes = {"spatial": (4, 3), "temporal": (0, 3)}
    meta = described(1, codebooks=source.meta.codebooks, shapes=shapes, image=True, frames=1, clip_frames=1)
    arrays = {"spatial": source.arrays["spatial"], "temporal": source.arrays["temporal"][:, :0]}
    for levels in (False, True):
        made = next(generators[levels].generate(1, Wish(prompt=Tokens(arrays, meta))))
        assert np.array_equal(made.arrays["spatial"], arrays["spatial"]) and made.meta.frames == 17


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("Chess"), "there is no class 'Chess'; there are class 0, class 1"),
        (Wish(prompt=dense(1), prompt_clips=4), "no 4 whole clips of 17.*prompt_clips=3 or fewer"),
        (Wish(frames=170_001), "more than the 10000 clips of 17"),
        (Wish(drawing=Drawing(guidance=2.0)), "Guidance is towards a class"),
        (Wish(prompt=dense(1), frames=51), "3 clips of 17 frames already.*prompt_clips"),
        (Wish(prompt=ragged(1)), "The prompt clip.mp4 has levels of detail.*encode its source with --fixed"),
        (Wish(prompt=Tokens({}, replace(dense(1).meta, weights_sha256="1" * 64))), "weights 111111111111"),
        (Wish(prompt=Tokens({}, replace(dense(1, 1).meta, frames=9))), "less than a clip of 17"),
    ],
)
def test_wishes_that_cannot_be(generators: dict[bool, VideoGenerator], wish: Wish, words: str) -> None:
    with pytest.raises(SweettokError, match=words):
        list(generators[False].generate(1, wish))


def test_a_cache_that_is_full_is_made_anew(
    generators: dict[bool, VideoGenerator], monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish("class 1", frames=34, drawing=Drawing(guidance=2.0))
    found = list(generators[True].generate(2, wish))
    monkeypatch.setattr("sweettok_cli.generation.sampling._BEGUN", 3)
    assert all(map(same, found, generators[True].generate(2, wish)))


def test_draws_are_of_the_likeliest() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0, 2.0]]).repeat(1000, 1)
    luck = torch.linspace(0, 1 - 1e-9, 1000, dtype=torch.float64)
    counts = {
        name: torch.bincount(drawing.draw(logits, luck), minlength=4)
        for name, drawing in {
            "all": Drawing(),
            "hot": Drawing(temperature=100.0),
            "greedy": Drawing(temperature=0.0),
            "nearly": Drawing(temperature=1e-320),
            "two": Drawing(top_k=2),
            "most": Drawing(top_p=0.7),
        }.items()
    }
    chances = logits[0].softmax(0)
    assert torch.allclose(counts["all"] / 1000, chances, atol=2e-3)
    assert torch.allclose(counts["hot"] / 1000, torch.full((4,), 0.25), atol=2e-2)
    assert counts["greedy"].tolist() == counts["nearly"].tolist() == [0, 1000, 0, 0]
    assert counts["two"][[0, 2]].sum() == 0 and counts["two"][3] > 200
    assert counts["most"][[0, 2]].sum() == 0 and counts["most"].sum() == 1000  # 0.64 and 0.24 make up 0.7


@torch.inference_mode()
def test_cached_and_uncached_logits_agree(generators: dict[bool, VideoGenerator]) -> None:
    generator = generators[False].network
    symbols = torch.randint(0, generator.network.config.vocab_size, (2, 40))
    whole = generator.hidden(symbols, use_cache=False).last_hidden_state
    for cache in (StaticCache(config=generator.network.config, max_cache_len=40), None):
        found = []
        for part in symbols.split([10, *[1] * 30], dim=1):
            step = generator.hidden(part, past_key_values=cache, use_cache=True)
            cache = step.past_key_values
            found.append(step.last_hidden_state)
        assert torch.allclose(torch.cat(found, 1), whole, atol=1e-5)


@pytest.mark.parametrize("levels", [False, True])
@torch.inference_mode()
def test_the_library_loads_it_and_draws_by_its_own_means(
    folders: dict[bool, Path], generators: dict[bool, VideoGenerator], levels: bool
) -> None:
    network = AutoModelForCausalLM.from_pretrained(folders[levels])
    tokenizer = AutoTokenizer.from_pretrained(folders[levels])
    card, order = generators[levels].card, generators[levels].order
    symbols = order.write((ragged if levels else dense)(0), "class 1")
    text = tokenizer.decode(symbols)
    assert text.startswith("<|begin|><|class:class 1|><|adjective:") and text.endswith("<|end|>")
    assert tokenizer(text)["input_ids"] == symbols.tolist()
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 0)
    given = torch.from_numpy(symbols[None])
    assert torch.allclose(network(given).logits, generators[levels].network.network(given).logits, atol=1e-6)
    drawn = network.generate(
        torch.tensor([[1, card.vocabulary.label("class 0")]] * 2),
        do_sample=True,
        max_new_tokens=3000,
        logits_processor=[Grammar(order, clips=2)],
    )
    for row in drawn:
        ended = row[: int((row == 2).nonzero()[0]) + 1].numpy()
        arrays, label = order.read(ended)
        assert label == "class 0" and len(arrays["spatial"]) == 2


def test_a_damaged_folder_is_told(folders: dict[bool, Path], tmp_path: Path) -> None:
    import shutil

    def damaged(file: str, change: Callable[[str], str]) -> Path:
        folder = tmp_path / file
        shutil.copytree(folders[False], folder)
        (folder / file).write_text(change((folder / file).read_text()))
        return folder

    for file, change, words in (
        ("generator.json", lambda text: text.replace('"version": 1,', '"version": 9,', 1), "has version 9"),
        ("vocabulary.json", lambda text: text.replace("adjectives", "x"), "vocabulary.json"),
        ("config.json", lambda text: text[:40], "holds no network that can be read"),
    ):
        with pytest.raises(SweettokError, match=words):
            VideoGenerator(damaged(file, change), "cpu")
    (tmp_path / "config.json" / "model.safetensors").write_bytes(b"none")


def test_what_follows_a_video_keeps_its_rate(generators: dict[bool, VideoGenerator]) -> None:
    given = dense(7, clips=1)
    slow = Tokens(given.arrays, replace(given.meta, rate=Fraction(12)))
    generator = generators[False]
    assert next(generator.generate(1, Wish(prompt=slow))).meta.rate == 12
    assert next(generator.generate(1)).meta.rate == generator.card.like.rate == 25


def test_videos_that_are_passed_over_change_no_other(generators: dict[bool, VideoGenerator]) -> None:
    generator = generators[False]
    told: list[tuple[int, int]] = []
    found = list(generator.generate(4))
    some = list(generator.generate(4, None, 8, lambda done, total: told.append((done, total)), {0, 2}))
    assert len(some) == 2 and same(some[0], found[1]) and same(some[1], found[3])
    assert told == [(2, 2)]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Wish(frames=0), ValueError, "frames = 0 is less than 1"),
        (lambda: Wish(frames=2.5), TypeError, "frames = 2.5 is no whole number"),
        (lambda: Wish(seed=-1), ValueError, "seed = -1 is less than 0"),
        (lambda: Wish(seed=True), TypeError, "seed = True is no whole number"),
        (lambda: Wish(3), TypeError, "label = 3 is no str"),
        (lambda: Wish(drawing=None), TypeError, "drawing = None is no Drawing"),
        (lambda: Wish(prompt="clip.npz"), TypeError, "prompt = 'clip.npz' is no Tokens"),
        (lambda: Wish(prompt_clips=1), ValueError, "prompt_clips = 1 is of a prompt"),
        (lambda: Drawing(temperature=float("inf")), ValueError, "temperature = inf"),
        (lambda: Drawing(temperature=float("nan")), ValueError, "temperature = nan"),
        (lambda: Drawing(temperature="hot"), TypeError, "temperature = 'hot' is no number"),
        (lambda: Drawing(guidance=-1), ValueError, "guidance = -1"),
        (lambda: Drawing(top_p=1.5), ValueError, "top_p = 1.5"),
        (lambda: Drawing(top_k=1.5), TypeError, "top_k = 1.5 is no whole number"),
        (lambda: Drawing(top_k=-1), ValueError, "top_k = -1 is less than 0"),
    ],
)
def test_values_that_can_never_be(make: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("count", [0, -1])
def test_no_videos_are_none(generators: dict[bool, VideoGenerator], count: int) -> None:
    with pytest.raises(ValueError, match=f"count = {count} is less than 1"):
        generators[False].generate(count)
    with pytest.raises(ValueError, match="batch = 0 is less than 1"):
        generators[False].generate(1, batch=0)
    with pytest.raises(TypeError, match=r"count = 1\.5 is no whole number"):
        generators[False].generate(1.5)  # type: ignore[arg-type]


def test_it_says_what_it_is(generators: dict[bool, VideoGenerator]) -> None:
    assert repr(generators[True]) == (
        "VideoGenerator('made-up': llama of 2 layers, width 32; up to 2 clips of 17 frames of 64x64 together"
        "; levels of detail, tokens of made-up; 2 classes; on cpu)"
    )


def test_without_classes_that_is_said(tmp_path: Path) -> None:
    generator = VideoGenerator(save_generator(tmp_path, [TokenVideo("a.npz", None, dense(1))]), "cpu")
    with pytest.raises(SweettokError, match="made-up has learned no classes; leave the class 'Chess' out"):
        generator.generate(1, Wish("Chess"))
