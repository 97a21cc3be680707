from __future__ import annotations

import pytest

from sweettok_cli.codebook.vocabulary import Tagger


def tags(wordnet, text):
    return " ".join(f"{tag.word}/{tag.part or '-'}" for tag in Tagger(wordnet).tag(text))


def test_counts_decide_where_neighbours_do_not(wordnet):
    assert tags(wordnet, "dogs run quickly.") == "dogs/noun run/verb quickly/adv ./-"


def test_punctuation_function_words_and_unknown_words_have_no_part(wordnet):
    assert tags(wordnet, "The zyx, of a dog") == "the/- zyx/- ,/- of/- a/- dog/noun"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an orange ball", "an/- orange/adj ball/noun"),
        ("an orange", "an/- orange/noun"),
        ("a big orange", "a/- big/adj orange/noun"),
        ("the ball is orange", "the/- ball/noun is/- orange/adj"),
    ],
)
def test_neighbours_tell_an_adjective_from_a_noun(wordnet, text, expected):
    assert tags(wordnet, text) == expected


def test_a_verb_does_not_follow_a_determiner(wordnet):
    assert tags(wordnet, "the dogs bark") == "the/- dogs/noun bark/verb"
    assert tags(wordnet, "the bark") == "the/- bark/noun"


def test_down_the_road_is_a_preposition_and_down_alone_an_adverb(wordnet):
    assert tags(wordnet, "a dog runs down the ball") == "a/- dog/noun runs/verb down/- the/- ball/noun"
    assert tags(wordnet, "a dog runs down") == "a/- dog/noun runs/verb down/adv"


@pytest.mark.parametrize(
    ("text", "word", "part"),
    [
        ("a man walks down the road", "down", None),
        ("a man walks down", "down", "adv"),
        ("water flows gently over smooth stones", "flows", "verb"),
        ("a dog is running", "running", "verb"),
        ("a wet dog", "wet", "adj"),
        ("cars drive fast on a road", "fast", "adv"),
        ("she wants to water it", "water", "verb"),
        ("the water is cold", "water", "noun"),
    ],
)
def test_real_captions(real_wordnet, text, word, part):
    found = {tag.word: tag.part for tag in Tagger(real_wordnet).tag(text)}
    assert found[word] == part
