"""A WordNet of a dozen synsets and a language model of two layers, both in their real file formats."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweettok_cli.codebook.wordnet import DEFAULT_FOLDER, WordNet

LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
SENSE_TYPES = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}

# part, offset, lexicographer file, words, pointers "symbol part offset source/target", gloss
SYNSETS = [
    ("noun", 100, 5, ["dog", "domestic_dog"], [], 'an animal that barks; "the big dog barked loudly"'),
    ("noun", 101, 6, ["ball"], [], "a round red thing that children throw"),
    ("noun", 102, 7, ["idea"], [], "a thought"),
    ("noun", 103, 15, ["Paris"], [], "the capital of France"),
    ("noun", 104, 20, ["orange"], [], "a round fruit"),
    ("noun", 105, 10, ["obscenity"], [], "a rude word"),
    ("noun", 106, 18, ["grumph", "oaf"], [(";u", "noun", 105, 1, 0)], "a person"),
    ("noun", 107, 18, ["blork"], [], "(ethnic slur) a name for a neighbour"),
    ("noun", 109, 6, ["blork"], [], "a sort of spoon"),
    ("noun", 110, 6, ["blork"], [], "a sort of pan"),
    ("noun", 111, 20, ["benny"], [], "a shrub"),
    ("noun", 112, 18, ["Benny"], [], "a singer"),
    ("noun", 113, 20, ["bark"], [], "the cover of a tree"),
    ("noun", 108, 7, ["bigness"], [("+", "adj", 300, 1, 1)], "the quality of size"),
    ("verb", 200, 38, ["run"], [], 'move fast on foot; "she runs quickly"'),
    ("verb", 201, 35, ["throw"], [], 'send carefully through the air; "he runs carefully"'),
    ("verb", 202, 38, ["quicken"], [], "go faster"),
    ("verb", 203, 39, ["bark"], [], "make a sound"),
    ("adj", 300, 0, ["big", "large"], [("+", "noun", 108, 1, 1)], "of great size"),
    ("adj", 301, 0, ["red"], [], "of the colour of blood"),
    ("adj", 302, 0, ["orange"], [], "of the colour of the fruit"),
    ("adj", 303, 0, ["ablaze(p)", "round"], [], "in flames"),
    ("adj", 304, 0, ["quick"], [("+", "verb", 202, 1, 1)], "fast"),
    ("adv", 400, 2, ["quickly"], [("\\", "adj", 304, 1, 1)], "with speed"),
    ("adv", 401, 2, ["loudly"], [], "with noise"),
    ("adv", 402, 2, ["carefully"], [], "with care"),
    ("adv", 403, 2, ["down"], [], "to a lower place"),
]
COUNTS = {
    ("noun", "dog"): 40,
    ("noun", "ball"): 20,
    ("noun", "idea"): 60,
    ("noun", "orange"): 3,
    ("verb", "run"): 50,
    ("verb", "throw"): 10,
    ("verb", "bark"): 2,
    ("adj", "big"): 70,
    ("adj", "red"): 30,
    ("adj", "orange"): 9,
    ("adv", "quickly"): 15,
    ("adv", "loudly"): 5,
}
EXCEPTIONS = {
    "noun": ["oxen ox"],
    "verb": ["ran run", "running run"],
    "adj": ["bigger big"],
    "adv": ["best well"],
}
LICENCE = "  1 This text stands in place of the licence.  \n"


def write_wordnet(folder: Path) -> Path:
    """Write SYNSETS as dictionary files."""
    folder.mkdir()
    for part, letter in LETTERS.items():
        data, senses = [LICENCE], {}
        for kind, offset, topic, words, pointers, gloss in SYNSETS:
            if kind != part:
                continue
            listed = " ".join(f"{word} 0" for word in words)
            related = "".join(
                f" {symbol} {target:08d} {LETTERS[other]} {a:02x}{b:02x}"
                for symbol, other, target, a, b in pointers
            )
            frames = " 01 + 02 00" if part == "verb" else ""
            data.append(
                f"{offset:08d} {topic:02d} {letter} {len(words):02x} {listed} "
                f"{len(pointers):03d}{related}{frames} | {gloss}  \n"
            )
            for word in words:
                senses.setdefault(word.partition("(")[0].lower(), []).append(offset)
        index = [LICENCE]
        for word in sorted(senses):
            n = len(senses[word])
            index.append(f"{word} {letter} {n} 1 @ {n} 0 {' '.join(f'{o:08d}' for o in senses[word])}  \n")
        (folder / f"data.{part}").write_text("".join(data))
        (folder / f"index.{part}").write_text("".join(index))
        (folder / f"{part}.exc").write_text("".join(f"{line}\n" for line in EXCEPTIONS[part]))
    (folder / "cntlist.rev").write_text(
        "".join(f"{word}%{SENSE_TYPES[part]}:00:00:: 1 {n}\n" for (part, word), n in sorted(COUNTS.items()))
    )
    return folder


@pytest.fixture
def wordnet_folder(tmp_path: Path) -> Path:
    """Dictionary files that a test may spoil."""
    return write_wordnet(tmp_path / "wordnet")


@pytest.fixture(scope="session")
def wordnet(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    """The small WordNet, read."""
    return WordNet(write_wordnet(tmp_path_factory.mktemp("words") / "wordnet"))


@pytest.fixture(scope="session")
def real_wordnet() -> WordNet:
    """WordNet itself, from $SWEETTOK_WORDNET or where the package wordnet-base puts it."""
    folder = Path(os.environ.get("SWEETTOK_WORDNET", DEFAULT_FOLDER))
    if not (folder / "data.noun").is_file():
        pytest.skip("WordNet is not installed")
    return WordNet(folder)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights, see :func:`save_language_model`."""
    return save_language_model(tmp_path_factory.mktemp("model"))


def save_language_model(folder: Path) -> Path:
    """Save a BERT with random weights that knows the letters and a few words, as transformers saves it."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{c}" for c in letters),
        "dog",
        "run",
    ]
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
    ).save_pretrained(folder)
    return folder
