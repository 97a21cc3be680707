"""A generator's folder: a plain one of the ``transformers`` library, and two files on what its symbols are.

config.json, generation_config.json, model.safetensors   the network, as the library writes it
tokenizer.json, tokenizer_config.json                    names of all symbols, ``<|noun:basketball|>`` say
vocabulary.json                                          what the symbols are, and of which classes videos are
generator.json                                           tokens of a clip, clips of a sequence, settings
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import atomic_output, is_file, read_json
from sweettok_cli.generation.config import GeneratorConfig
from sweettok_cli.generation.network import Generator, library
from sweettok_cli.models.common.settings import read_settings
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.tokens.fault import TokenFault
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.zoo.local import find_local

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

GENERATOR_FILE = "generator.json"
VOCABULARY_FILE = "vocabulary.json"
FORMAT = "sweettok-generator"
VERSION = 1
_AGAIN = "export the generator again"
_MOST_CLIPS = 4096


@dataclass(frozen=True)
class GeneratorCard:
    """What a generator's folder says beside the library's files.

    Attributes:
        name: of the generator.
        config: of its network.
        vocabulary: of its sequences.
        like: what a token file of one of its clips says of itself.
        clips: of a sequence at most: one more than it can go on from.
        classless: whether a video may be of no class.
    """

    name: str
    config: GeneratorConfig
    vocabulary: Vocabulary
    like: TokenMeta
    clips: int
    classless: bool = True

    @property
    def order(self) -> VideoOrder:
        """Of the symbols of its videos."""
        return VideoOrder.of(self.vocabulary, self.like)


def is_generator_folder(folder: Path) -> bool:
    """Whether a folder holds a generator."""
    return is_file(folder / GENERATOR_FILE)


def find_generator(name: str) -> Path:
    """The folder of a generator, or that in the folder of a run.

    Raises:
        SweettokError: there is none.
    """
    folder = Path(name)
    for found in (folder, folder / "model"):
        if is_generator_folder(found):
            return found
    how = "name the folder of a run of `sweettok train --config generator-small`, or the model in it"
    if find_local(name) is not None:
        raise SweettokError(f"{name} is a tokenizer, and no generator; {how}.")
    if not os.path.lexists(folder):
        raise SweettokError(f"{name} does not exist; {how}.")
    raise SweettokError(f"{name} holds no generator ({GENERATOR_FILE} is missing); {how}.")


def write_generator(
    folder: Path, weights: Generator, card: GeneratorCard, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Write a generator's folder, with the names of its symbols as :func:`make_tokenizer` gives them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    network = weights.network
    network.config.architectures = [type(network).__name__]
    network.config.save_pretrained(folder)
    network.generation_config.save_pretrained(folder)
    tied = getattr(network, "_tied_weights_keys", {}) if network.config.tie_word_embeddings else ()
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if name not in tied
    }
    with atomic_output(folder / "model.safetensors", force=True) as part:
        save_file(state, part, metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
    (folder / VOCABULARY_FILE).write_text(card.vocabulary.to_json(), encoding="utf-8")
    record = {
        "format": FORMAT,
        "version": VERSION,
        "name": card.name,
        "clips": card.clips,
        "classless": card.classless,
        "config": dataclasses.asdict(card.config),
        "tokens": json.loads(card.like.to_json()),
    }
    text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    (folder / GENERATOR_FILE).write_text(text, encoding="utf-8")


def make_tokenizer(
    vocabulary: Vocabulary, words: Mapping[str, Sequence[str]] | None
) -> PreTrainedTokenizerFast:
    """A tokenizer of the library: every symbol is one word of its text, and nothing else is text.

    ``words`` are behind the codes, by part of speech, where they are words.
    """
    fast = library().PreTrainedTokenizerFast
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    names = vocabulary.names(words)
    tokenizer = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"<\|.+?\|>"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    ends = {f"{key}_token": names[vocabulary.special(name)] for key, name in _ENDS.items()}
    return fast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **ends)


_ENDS = {"bos": "begin", "eos": "end", "pad": "pad"}


def read_card(folder: Path) -> GeneratorCard:
    """What a generator's folder says of it; weights are not read.

    Raises:
        SweettokError: it holds none, or is damaged.
    """
    path = folder / GENERATOR_FILE
    table = read_json(path, _AGAIN)
    if table.get("format") != FORMAT:
        raise SweettokError(f"{path} does not describe a generator; name another folder.")
    if table.get("version") != VERSION:
        version = brief(table.get("version"))
        raise SweettokError(f"{path} has version {version}, this sweettok reads {VERSION}; upgrade it.")
    name, clips, settings = (table.get(key) for key in ("name", "clips", "config"))
    if not (isinstance(name, str) and isinstance(settings, dict)):
        raise SweettokError(f"{path} lacks its name or its config; {_AGAIN}.")
    if type(clips) is not int or not 1 <= clips <= _MOST_CLIPS:
        raise SweettokError(f"{path} has clips = {brief(clips)}, no number of them; {_AGAIN}.")
    try:
        like = TokenMeta.from_json(json.dumps(table.get("tokens")))
    except TokenFault as fault:
        raise SweettokError(f"{path} describes tokens that {fault.problem}; {_AGAIN}.") from fault
    words = folder / VOCABULARY_FILE
    try:
        vocabulary = Vocabulary.from_json(words.read_text(encoding="utf-8"))
        VideoOrder.of(vocabulary, like)
    except (OSError, ValueError) as error:
        raise SweettokError(f"Cannot read {words} ({error}); {_AGAIN}.") from error
    config = read_settings(GeneratorConfig, settings, path)
    return GeneratorCard(name, config, vocabulary, like, clips, table.get("classless") is not False)


def read_tokenizer(folder: Path, vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """The names of all symbols in a generator's folder.

    Raises:
        SweettokError: they are missing or damaged.
    """
    try:
        found = library().PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # as for the network
        raise SweettokError(
            f"{folder} holds no tokenizer that can be read ({_first_line(error)}); {_AGAIN}."
        ) from error
    if len(found) != vocabulary.size:
        raise SweettokError(f"{folder} names {len(found)} symbols of {vocabulary.size}; {_AGAIN}.")
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def read_network(folder: Path, card: GeneratorCard) -> Generator:
    """The network in a generator's folder, float32, on the CPU.

    Raises:
        SweettokError: it is missing or damaged, or another one than ``card`` describes.
    """
    given = library()
    classes = {"llama": given.LlamaForCausalLM, "gpt2": given.GPT2LMHeadModel}
    try:
        network = classes[card.config.network].from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype="float32"
        )
    except Exception as error:  # of whatever the library meets in files of others
        raise SweettokError(
            f"{folder} holds no network that can be read ({_first_line(error)}); {_AGAIN}."
        ) from error
    if network.config.vocab_size != card.vocabulary.size:
        raise SweettokError(
            f"{folder} holds a network of {network.config.vocab_size} symbols, and its vocabulary has "
            f"{card.vocabulary.size}; {_AGAIN}."
        )
    return Generator(network, card.vocabulary)
