"""A published generator's checkpoint as a generator's folder: OmniTokenizer's language model, class by class.

Its sequence is ``sos``, class, then all codes of the grid in raster order; its numbers are 0 for ``sos``,
then the classes, then the codes (``OmniTokenizer/lm_transformer.py`` and ``scripts/lm_train/train_ucf.sh`` of
FoundationVision/OmniTokenizer, commit e912dc0). That is our order with other numbers: rows of the embedding
and of the last map change places, the rest stays. Symbols that it does not know have rows of zeros; none of
them is ever asked for, because a sequence of it has a class always.

SweetTok's has modifiers before heads and marks between them, k600_fp_lm.ckpt no class and no beginning:
orders that ours is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sweettok_cli.errors import SweettokError, brief
from sweettok_cli.files import FolderKind, atomic_folder, check_folder_target
from sweettok_cli.generation.config import GeneratorConfig
from sweettok_cli.generation.folder import (
    GENERATOR_FILE,
    VOCABULARY_FILE,
    GeneratorCard,
    make_tokenizer,
    write_generator,
)
from sweettok_cli.generation.network import Generator, build_network
from sweettok_cli.generation.published import load_published_generator
from sweettok_cli.models.registry import read_spec
from sweettok_cli.sequences.sequence import VideoOrder
from sweettok_cli.sequences.vocabulary import Vocabulary
from sweettok_cli.storage.checkpoint_file import Checkpoint, read_checkpoint
from sweettok_cli.storage.model_folder import CONFIG_FILE, WEIGHTS_FILE, ModelFolder
from sweettok_cli.tokens.layout import TokenizerSpec
from sweettok_cli.tokens.meta import TokenMeta
from sweettok_cli.video.info import DEFAULT_RATE

_LIBRARY = {"generation_config.json", "tokenizer.json", "tokenizer_config.json"}
_FOLDER = FolderKind(
    "generator",
    frozenset({CONFIG_FILE, WEIGHTS_FILE, VOCABULARY_FILE, GENERATOR_FILE, *_LIBRARY}),
    GENERATOR_FILE,
)
_PREFIX = "transformer."
_CODES = (
    "codebook.embeddings"  # of the tokenizer, in a checkpoint behind "first_stage_model.", and in its folder
)
#: What its settings have to be, for its order to be ours.
_NEEDED = {"starts_with_sos": True, "class_first": False, "unconditional": False, "vtokens_pos": False}


def convert_generator(
    file: Path, tokenizer: Path, folder: Path, name: str, force: bool = False
) -> GeneratorCard:
    """Write a checkpoint of OmniTokenizer's class-conditional language model as a generator's folder.

    Args:
        file: a Lightning checkpoint with its settings; nothing in it is run.
        tokenizer: folder of the tokenizer whose codes it has learned.
        folder: where to write.
        name: of the generator.
        force: replace a generator that is in ``folder``.

    Raises:
        SweettokError: the checkpoint cannot be read, is of another network or order, or the tokenizer has
            other codes.
    """
    check_folder_target(folder, _FOLDER, force)
    model = ModelFolder(tokenizer)
    spec, checkpoint = read_spec(model), read_checkpoint(file)
    state = {key.removeprefix(_PREFIX): t for key, t in checkpoint.state.items() if key.startswith(_PREFIX)}
    table, places = state.get("tok_emb.weight"), state.get("pos_emb")
    if table is None or places is None or table.ndim != 2 or places.ndim != 3:
        raise SweettokError(
            f"{file} holds no generator (transformer.tok_emb.weight, transformer.pos_emb); give that of "
            "OmniTokenizer's language model."
        )
    settings = _settings(checkpoint)
    codes = _same_codes(checkpoint, tokenizer, model.state().get(_CODES), spec)
    classes = table.shape[0] - codes - 1
    like = _one_clip(file, spec, settings)
    config = GeneratorConfig(
        "gpt2",
        layers=len({key.split(".")[1] for key in state if key.startswith("blocks.")}),
        heads=settings["n_head"],
        width=table.shape[1],
        inner=4 * table.shape[1],
        places=places.shape[1],
    )
    if classes < 1 or settings.get("class_cond_dim") not in (None, classes):
        raise SweettokError(
            f"{file} has {table.shape[0]} symbols, not one for each of {codes} codes and of its "
            f"{brief(settings.get('class_cond_dim'))} classes, and one that begins; give its own tokenizer."
        )
    labels = tuple(map(str, range(classes)))
    vocabulary = Vocabulary(spec.family, spec.name, spec.weights_sha256, dict(like.codebooks), labels)
    length = VideoOrder.of(vocabulary, like).clip.length
    if length is None or config.places < 1 + length:
        raise SweettokError(
            f"{file} has places for {config.places} symbols, fewer than a clip of {like.width}x{like.height} "
            f"has, {length}; it is of other frames than its settings say."
        )
    network = build_network(config, vocabulary)
    moved = {key: _moved(state[key], vocabulary, codes).float() for key in ("tok_emb.weight", "head.weight")}
    load_published_generator(network, {**state, **moved})  # type: ignore[arg-type]
    card = GeneratorCard(name, config, vocabulary, like, clips=1, classless=False)
    with atomic_folder(folder, _FOLDER, force) as part:
        write_generator(part, Generator(network, vocabulary), card, make_tokenizer(vocabulary, None))
    return card


def _settings(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """What the checkpoint was trained with.

    Raises:
        SweettokError: it does not say so, or has another order.
    """
    found = {key: checkpoint.settings.get(key, False) for key in _NEEDED}
    heads = checkpoint.settings.get("n_head")
    if type(heads) is not int or heads < 1:
        raise SweettokError(
            f"{checkpoint.path} does not say how many heads its layers have (hyper_parameters: n_head); give "
            "the checkpoint as Lightning wrote it."
        )
    wrong = next((key for key, value in _NEEDED.items() if found[key] is not value), None)
    if wrong is not None:
        raise SweettokError(
            f"{checkpoint.path} has {wrong} = {brief(found[wrong])}, with which its symbols are in another "
            "order; only class-conditional generators that begin with sos are converted."
        )
    return checkpoint.settings


def _same_codes(checkpoint: Checkpoint, tokenizer: Path, own: Tensor | None, spec: TokenizerSpec) -> int:
    """How many codes there are.

    Raises:
        SweettokError: the tokenizer is none of a grid of codes, or its codes are not those of the checkpoint.
    """
    sizes = spec.codebooks.get("indices")
    if sizes is None or len(sizes) != 1:
        raise SweettokError(
            f"{tokenizer} is no tokenizer of a grid of codes; give the OmniTokenizer VQ model."
        )
    learned = checkpoint.state.get(f"first_stage_model.{_CODES}")
    if (
        learned is None
        or own is None
        or learned.shape != own.shape
        or not torch.equal(learned.float(), own.float())
    ):
        raise SweettokError(
            f"The codes that {checkpoint.path} has learned are not those of {tokenizer}; give the "
            "tokenizer that it was trained with."
        )
    return sizes[0]


def _one_clip(file: Path, spec: TokenizerSpec, settings: Mapping[str, Any]) -> TokenMeta:
    """What the tokens of one clip say of themselves; its rate is not known, and played as usual."""
    side, frames = settings.get("resolution"), settings.get("sequence_length")
    if type(side) is not int or side < 1 or side % spec.multiple or frames != spec.clip_frames:
        raise SweettokError(
            f"{file} was trained on {brief(frames)} frames of {brief(side)} pixels, and {spec.name} has "
            f"clips of {spec.clip_frames}; give its own tokenizer."
        )
    return TokenMeta(
        family=spec.family,
        model=spec.name,
        weights_sha256=spec.weights_sha256,
        source="",
        image=False,
        width=side,
        height=side,
        padded_width=side,
        padded_height=side,
        frames=spec.clip_frames,
        rate=DEFAULT_RATE,
        clip_frames=spec.clip_frames,
        codebooks={name: tuple(sizes) for name, sizes in spec.codebooks.items()},
        shapes=spec.clip_shapes(side, side),
    )


def _moved(rows: Tensor, vocabulary: Vocabulary, codes: int) -> Tensor:
    """Rows of theirs, [1 + classes + codes, width], at our numbers, [symbols, width]."""
    found = rows.new_zeros(vocabulary.size, rows.shape[1])
    begin, (first, end) = vocabulary.special("begin"), vocabulary.labels
    codes_of = vocabulary.column("indices", 0)
    found[begin] = rows[0]
    found[first:end] = rows[1 : 1 + end - first]
    found[codes_of.start : codes_of.end] = rows[1 + end - first :]
    return found
