"""Videos as symbols and back, and what may come next."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import LEVELS, WORDS, dense, grid, ragged

from sweettok_cli.sequences.order import Place
from sweettok_cli.sequences.sequence import VideoOrder, Walk, vocabulary_of
from sweettok_cli.sequences.vocabulary import SPECIALS, STEPS, Vocabulary
from sweettok_cli.tokens import TokenFault, Tokens

CLASSES = ("Archery", "Biking")


def ordered(tokens: Tokens) -> VideoOrder:
    return VideoOrder.of(vocabulary_of(tokens.meta, CLASSES), tokens.meta)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "tokens", [dense(), ragged(), grid(), ragged(busy=0), ragged(busy=0.004, cells=(5, 16, 16))]
)
def test_symbols_give_back_the_tokens_and_the_class(tokens: Tokens) -> None:
    order = ordered(tokens)
    for label in (None, "Biking"):
        symbols = order.write(tokens, label)
        arrays, found = order.read(symbols)
        assert same(arrays, tokens.arrays) and found == label
        assert symbols.min() >= 0 and symbols.max() < order.vocabulary.size


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_any_ragged_tokens_come_back(seed: int, clips: int, busy: float) -> None:
    tokens = ragged(seed, clips, (2, 3, 30), busy)
    order = ordered(tokens)
    assert same(order.read(order.write(tokens))[0], tokens.arrays)


@pytest.mark.parametrize("tokens", [dense(), ragged(busy=0.5), ragged(busy=0.002, cells=(5, 16, 16)), grid()])
def test_a_walk_lets_pass_what_was_written_and_ends_with_it(tokens: Tokens) -> None:
    order = ordered(tokens)
    walk = Walk(order, clips=tokens.meta.clips)
    for symbol in order.write(tokens, "Archery").tolist():
        assert not walk.spot.over
        walk.push(symbol)
    assert walk.spot.over
    pad = SPECIALS.index("pad")
    assert walk.next() == [(pad, pad + 1)]


@pytest.mark.parametrize("levels", [False, True])
def test_whatever_may_come_next_is_a_video_that_is_written_alike(levels: bool) -> None:
    random = np.random.default_rng(3)
    order = ordered(ragged() if levels else dense())
    for _ in range(20):
        walk, symbols = Walk(order), list[int]()
        while not walk.spot.over:
            ways = walk.next()
            if levels and len(ways) == 3 and random.random() < 0.2:
                ways = ways[-1:]
            start, end = ways[random.integers(len(ways))]
            symbols.append(int(random.integers(start, end)))
            walk.push(symbols[-1])
        arrays, label = order.read(np.array(symbols))
        mark = SPECIALS.index("clip")
        again = symbols[:2]
        for number, clip in enumerate(split(arrays, levels)):
            again += [mark] * (number > 0) + order.clip.write(clip).tolist()
        assert [*again, symbols[-1]] == symbols
        assert label in (None, *CLASSES)


def split(arrays: dict[str, np.ndarray], levels: bool) -> list[dict[str, np.ndarray]]:
    from sweettok_cli.tokens.ragged import split_clips

    ragged_ones = LEVELS if levels else {}
    return [
        {name: array if name in ragged_ones else array[0] for name, array in each.items()}
        for each in split_clips(arrays, 1)
    ]


def test_a_clip_that_is_dense_has_one_length_and_one_list_at_each_place() -> None:
    tokens = dense()
    order = ordered(tokens)
    assert order.clip.length == 4 * 3 + 6 * 3
    place: Place | None = order.clip.begin
    seen = []
    while place is not None:
        ((start, end),) = order.clip.next(place)
        seen.append(end - start)
        place = order.clip.after(place, start)
    assert seen == [*WORDS["spatial"]] * 4 + [*WORDS["temporal"]] * 6
    assert ordered(ragged()).clip.length is None


@pytest.mark.parametrize("tokens", [dense(), ragged(), grid()])
def test_what_is_no_video_is_refused_wherever_it_is_damaged(tokens: Tokens) -> None:
    order = ordered(tokens)
    symbols = order.write(tokens)
    stop = SPECIALS.index("stop")
    for number in range(len(symbols)):
        without = np.delete(symbols, number)
        wrong = symbols.copy()
        wrong[number] = SPECIALS.index("pad")
        for damaged in (without, wrong):
            with pytest.raises(ValueError):
                order.read(damaged)
    if tokens.meta.levels:  # a step over more cells than there are
        far = np.full(1 + 5 * 8 * 8 // STEPS, SPECIALS.index("far"))
        end = int(np.flatnonzero(symbols == stop)[0])
        with pytest.raises(ValueError, match="may not stand"):
            order.read(np.concatenate([symbols[:end], far, symbols[end:]]))


def test_step_and_mark_that_say_nothing_are_refused() -> None:
    tokens = ragged(busy=0.001, cells=(5, 16, 16), clips=1)
    order = ordered(tokens)
    symbols = order.write(tokens)
    end = int(np.flatnonzero(symbols == SPECIALS.index("stop"))[0])
    with pytest.raises(ValueError, match="may not stand"):
        order.read(np.insert(symbols, end, SPECIALS.index("far")))


def test_a_vocabulary_goes_through_json_and_a_changed_one_is_refused() -> None:
    made = vocabulary_of(ragged().meta, CLASSES)
    assert Vocabulary.from_json(made.to_json()) == made
    record = json.loads(made.to_json())
    assert record["lists"]["nouns"] == [made.lists["nouns"].start, made.lists["nouns"].start + 30]
    assert record["columns"]["temporal"] == ["adverbs", "adverbs", "verbs"]
    for key, value in (
        ("size", 5),
        ("lists", {}),
        ("labels", [0, 1]),
        ("version", 2),
        ("classes", ["a", "a"]),
    ):
        with pytest.raises(ValueError):
            Vocabulary.from_json(json.dumps(record | {key: value}))
    for text in ("[]", "{}", "no", '{"format": "sweettok-vocabulary", "version": 1}'):
        with pytest.raises(ValueError):
            Vocabulary.from_json(text)


def test_codes_keep_their_numbers_whatever_classes_there_are() -> None:
    meta = ragged().meta
    assert vocabulary_of(meta).lists == vocabulary_of(meta, CLASSES).lists
    assert vocabulary_of(meta, CLASSES).size == vocabulary_of(meta).size + 2


def test_every_symbol_has_a_name_of_its_own_with_the_word_in_it() -> None:
    made = vocabulary_of(ragged().meta, CLASSES)
    words = {"adjectives": 40, "nouns": 30, "adverbs": 20, "verbs": 50}
    lists = {part: [f"{part[:2]}{n}" for n in range(count)] for part, count in words.items()}
    names = made.names(lists)
    assert len(set(names)) == len(names) == made.size
    assert names[made.lists["nouns"].start + 4] == "<|noun:no4|>"
    assert names[made.lists["detail"].start + 4] == "<|detail:no4|>"
    assert names[made.label("Biking")] == "<|class:Biking|>"
    assert len(set(made.names())) == made.size


def test_tokens_of_other_weights_are_refused() -> None:
    from dataclasses import replace

    meta = dense().meta
    code = vocabulary_of(ragged().meta)
    code.check(meta.family, meta.weights_sha256, meta.codebooks)  # of the same model, in the fixed layout
    with pytest.raises(TokenFault, match="other codebooks"):
        vocabulary_of(meta).check(meta.family, meta.weights_sha256, ragged().meta.codebooks)
    with pytest.raises(TokenFault, match="was made with the weights 1111"):
        VideoOrder.of(code, replace(meta, weights_sha256="1" * 64))


def test_a_class_that_there_is_not_is_named_with_those_that_are() -> None:
    code = vocabulary_of(dense().meta, CLASSES)
    with pytest.raises(ValueError, match="no class 'Cooking'; there are Archery, Biking"):
        code.label("Cooking")
    with pytest.raises(ValueError, match="is no class"):
        code.class_of(code.special("end"))
