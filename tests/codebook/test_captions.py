from __future__ import annotations

import pytest

from sweettok_cli.codebook.captions import count_captions
from sweettok_cli.codebook.vocabulary import Tagger
from sweettok_cli.errors import SweettokError

CAPTIONS = """A big dog runs quickly.

the red ball is big
dogs bark loudly
An orange ball
an orange
a big red dog carefully throws the ball
"""


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text(CAPTIONS)
    return path


def test_words_are_counted_as_written_most_frequent_first(wordnet, captions):
    words, _, _ = count_captions(captions, Tagger(wordnet), {}, least_count=0)
    assert words.adj == ("big", "red", "orange")
    assert words.noun == ("ball", "dog", "dogs")
    assert words.adv == ("carefully", "loudly", "quickly")
    assert words.verb == ("bark", "runs", "throws")


def test_a_noun_that_was_once_an_adjective_is_no_noun(wordnet, captions):
    words, _, _ = count_captions(captions, Tagger(wordnet), {}, least_count=1)
    # "orange" is met once as an adjective, too rarely to be kept, and all the same is not a noun.
    assert words.adj == ("big", "red")
    assert "orange" not in words.noun


def test_rare_adjectives_and_nouns_fall_away_but_not_adverbs_and_verbs(wordnet, captions):
    words, _, _ = count_captions(captions, Tagger(wordnet), {}, least_count=1)
    assert words.noun == ("ball", "dog")
    assert len(words.adv) == 3
    assert len(words.verb) == 3


def test_pairs_are_counted(wordnet, captions):
    _, spatial, temporal = count_captions(captions, Tagger(wordnet), {}, least_count=0)
    assert spatial["big", "dog"] == 2
    assert spatial["big", "ball"] == 1
    assert spatial["red", "dog"] == 1
    assert temporal["quickly", "runs"] == 1
    assert temporal["loudly", "bark"] == 1
    assert temporal["carefully", "throws"] == 1


def test_sizes_cut_the_lists(wordnet, captions):
    words, _, _ = count_captions(captions, Tagger(wordnet), {"adj": 2, "verb": 1}, least_count=0)
    assert words.adj == ("big", "red")
    assert words.verb == ("bark",)


def test_too_few_words_are_an_error_with_a_remedy(wordnet, captions):
    with pytest.raises(SweettokError, match=r"captions\.txt gives 0 nouns; .*--min-count"):
        count_captions(captions, Tagger(wordnet), {}, least_count=10)


def test_a_missing_file_is_named(wordnet, tmp_path):
    with pytest.raises(SweettokError, match=r"none\.txt does not exist"):
        count_captions(tmp_path / "none.txt", Tagger(wordnet), {})


def test_a_binary_file_is_refused(wordnet, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\xff\xfe" * 100)
    with pytest.raises(SweettokError, match=r"clip\.mp4 cannot be read as UTF-8"):
        count_captions(path, Tagger(wordnet), {})
