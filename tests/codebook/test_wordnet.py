from __future__ import annotations

import re
from pathlib import Path

import pytest

from sweettok_cli.codebook.wordnet import Pointer, WordNet
from sweettok_cli.errors import SweettokError


def test_reads_synsets_with_words_pointers_and_gloss(wordnet):
    dog = wordnet.synsets["noun", 100]
    assert dog.words == ("dog", "domestic_dog")
    assert dog.topic == 5
    assert dog.gloss.startswith("an animal that barks")
    assert wordnet.synsets["adj", 300].pointers == (Pointer("+", "noun", 108, 1, 1),)


def test_the_place_marker_of_an_adjective_is_no_part_of_the_word(wordnet):
    assert wordnet.synsets["adj", 303].words == ("ablaze", "round")


def test_meanings_follow_the_index(wordnet):
    assert [synset.offset for synset in wordnet.meanings("orange", "adj")] == [302]
    assert [synset.offset for synset in wordnet.meanings("orange", "noun")] == [104]
    assert wordnet.meanings("unheard", "noun") == []


def test_counts_are_by_part_of_speech(wordnet):
    assert wordnet.count("orange", "adj") == 9
    assert wordnet.count("orange", "noun") == 3
    assert wordnet.count("carefully", "adv") == 0


@pytest.mark.parametrize(
    ("word", "part", "bases"),
    [
        ("dogs", "noun", ["dog"]),
        ("dog", "noun", ["dog"]),
        ("running", "verb", ["run"]),
        ("ran", "verb", ["run"]),
        ("throws", "verb", ["throw"]),
        ("bigger", "adj", ["big"]),
        ("larger", "adj", ["large"]),
        ("dogs", "verb", []),
        ("s", "noun", []),
    ],
)
def test_base_forms(wordnet, word, part, bases):
    assert wordnet.base_forms(word, part) == bases


@pytest.mark.parametrize(
    ("name", "columns"), [("cntlist", "{count} {key} 1"), ("index.sense", "{key} 00000100 1 {count}")]
)
def test_counts_come_from_any_of_the_files_that_hold_them(wordnet_folder, name, columns):
    (wordnet_folder / "cntlist.rev").unlink()
    (wordnet_folder / name).write_text(columns.format(key="dog%1:05:00::", count=42) + "\n")
    assert WordNet(wordnet_folder).count("dog", "noun") == 42


def test_a_missing_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(SweettokError, match=rf"{re.escape(str(tmp_path / 'none'))}.*wordnet-base.*--wordnet"):
        WordNet(tmp_path / "none")


@pytest.mark.parametrize("name", ["data.verb", "index.adv", "noun.exc"])
def test_a_missing_file_is_named(wordnet_folder, name):
    (wordnet_folder / name).unlink()
    with pytest.raises(SweettokError, match=f"no {name}"):
        WordNet(wordnet_folder)


def test_missing_counts_are_an_error(wordnet_folder):
    (wordnet_folder / "cntlist.rev").unlink()
    with pytest.raises(SweettokError, match="no counts of senses"):
        WordNet(wordnet_folder)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("data.noun", "00000999 05 n zz dog 0 000 | gloss"),
        ("data.noun", "00000999 05 n 01 dog 0 001 @ 00000100 | cut short"),
        ("index.noun", "cat n x 1 @ 1 0 00000100"),
        ("verb.exc", "alone"),
        ("cntlist.rev", "dog%9:05:00:: 1 3"),
        ("cntlist.rev", "dog%1:05:00:: 1"),
    ],
)
def test_a_malformed_line_is_named(wordnet_folder, name, line):
    path: Path = wordnet_folder / name
    lines = path.read_text().count("\n")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(SweettokError, match=rf"{name}, line {lines + 1}, "):
        WordNet(wordnet_folder)


def test_files_of_two_releases_are_refused(wordnet_folder):
    path = wordnet_folder / "index.noun"
    path.write_text(path.read_text().replace("00000100", "00000999"))
    with pytest.raises(SweettokError, match="do not belong together"):
        WordNet(wordnet_folder)


def test_binary_rubbish_is_refused(wordnet_folder):
    (wordnet_folder / "data.adv").write_bytes(b"\xff\xfe\x00" * 50)
    with pytest.raises(SweettokError, match=r"Cannot read .*data\.adv"):
        WordNet(wordnet_folder)


def test_real_wordnet(real_wordnet):
    assert len(real_wordnet.synsets) > 100_000
    assert real_wordnet.base_forms("children", "noun")[0] == "child"
    assert real_wordnet.base_forms("flying", "verb")[0] == "fly"
    assert real_wordnet.count("man", "noun") > 100
