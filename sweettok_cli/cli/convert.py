"""``sweettok models convert``: a checkpoint trained elsewhere as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweettok_cli.cli.options import ForceOption, JsonOption, QuietOption
from sweettok_cli.cli.output import Output, count

if TYPE_CHECKING:
    from sweettok_cli.weights_store.folder import ModelHeader


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A .ckpt, .pt, .pth, .bin or .safetensors file, or a folder of Accelerate.",
            metavar="FILE",
            readable=False,
        ),
    ],
    family: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="FAMILY",
            help="sweettok, omnitokenizer, vidtok or vidtok-v1.1; or the name of a published model.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to write the model into.", show_default="./NAME"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="The model's name in token files.", show_default="from the file's"),
    ] = None,
    words_spatial: Annotated[
        Path | None,
        typer.Option("--words-spatial", help="SweetTok: the pickled adjectives and nouns.", metavar="PICKLE"),
    ] = None,
    words_temporal: Annotated[
        Path | None,
        typer.Option("--words-temporal", help="SweetTok: the pickled adverbs and verbs.", metavar="PICKLE"),
    ] = None,
    ema: Annotated[
        bool, typer.Option("--ema", help="Take the moving average kept beside the weights.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Convert a checkpoint that was trained elsewhere into a model folder.

    Nothing in the file is run: it is read as plain data, and one that asks for more is refused with the name
    of what it asks for. Every tensor must be known; what is not needed is dropped and counted. The folder
    serves as --model everywhere.

    Examples:

        sweettok models convert vidtok_kl_causal_488_4chn.ckpt --as vidtok

        sweettok models convert imagenet_ucf.ckpt --as omnitokenizer -o omni

        \b
    sweettok models convert unwrapped_model --as sweettok \\
        --words-spatial noun_adj.pkl --words-temporal verb_adv.pkl
    """
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.weights_store.convert import convert_checkpoint, model_name

    out = Output(json=as_json, quiet=quiet)
    words = None
    if words_spatial is not None or words_temporal is not None:
        if words_spatial is None or words_temporal is None:
            raise SweettokError("Words come in two files; give both --words-spatial and --words-temporal.")
        words = (words_spatial, words_temporal)
    folder = Path(name or model_name(checkpoint, family)) if output is None else output
    header = convert_checkpoint(
        checkpoint, family, name=name, folder=folder, words=words, averaged=ema, force=force
    )
    for line in _report(checkpoint, header):
        out.say(line)
    data = {
        "checkpoint": str(checkpoint),
        "output": str(header.folder),
        "name": header.name,
        "family": header.family,
        "weights_sha256": header.weights_sha256,
        "source": header.source,
    }
    out.result(data, str(header.folder))


def _report(checkpoint: Path, header: ModelHeader) -> list[str]:
    """What was read, kept and dropped, and what to know about the result."""
    source: dict[str, Any] = header.source
    lines = [f"{checkpoint}: read {source['read']}, kept {count(source['tensors'], 'tensor')}"]
    lines += [f"  dropped {number}: {reason}" for reason, number in sorted(source["dropped"].items())]
    if absent := source.get("words without a vector"):
        lines.append(
            f"  {count(absent, 'word')} without a vector: left out, and the edges kept as the network was "
            "trained with them"
        )
    if header.config.get("pixels") is False:
        lines.append("  first training stage: it encodes, but has no decoder to pixels")
    return [*lines, f"{header.name} ({header.family}) -> {header.folder}"]
