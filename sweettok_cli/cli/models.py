"""``sweettok models``: which models there are, and how they come to this machine and to the Hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from sweettok_cli.cli.columns import fitted, lined_up
from sweettok_cli.cli.help import App
from sweettok_cli.cli.options import ForceOption, JsonOption, QuietOption
from sweettok_cli.cli.output import FAILED, Output, count, picked, printed, shown

if TYPE_CHECKING:
    from sweettok_cli.storage.model_folder import ModelHeader


_GENERATOR = "generator"  # what ``--as`` calls one

models_app = App(help="List, fetch, convert, publish and check models.")


@models_app.command("list", short_help="List the models that go by name.")
def list_models(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List the models that go by name: shipped, pulled, or to be had on the Hub.

    Every command takes these names with --model, and fetches what is not here yet.

    Examples:

        sweettok models list

        sweettok models list --json
    """
    from sweettok_cli.zoo.local import store_folder

    rows = _rows()
    data = {"store": str(store_folder()), "models": rows}
    Output(json=as_json, quiet=quiet).result(data, None if as_json else _table(rows))


@models_app.command(short_help="Fetch models from the Hub.")
def pull(
    names: Annotated[
        list[str], Argument(help="Names that `list` shows, or OWNER/REPO[@REVISION].", metavar="NAME...")
    ],
    force: Annotated[bool, Option("--force", "-f", help="Fetch again what is here already.")] = False,
    keep_download: Annotated[
        bool, Option("--keep-download", help="Keep the published file too, in the Hub's cache.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Fetch models from the Hub: checked, converted to safetensors, kept beside the Hub's cache.

    A published checkpoint is read once and then removed, unless --keep-download is given. A repository that
    `sweettok models push` made is fetched as it is. HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and HF_HOME mean
    what they mean to huggingface_hub; SWEETTOK_HOME is the folder for models.

    Examples:

        sweettok models pull vidtok-fsq-causal-488-32768

        sweettok models pull OWNER/REPO@main
    """
    from sweettok_cli.files import folder_bytes
    from sweettok_cli.zoo.pull import megabytes, pull_model

    out = Output(json=as_json, quiet=quiet)
    pulled = []
    for name in names:
        done = pull_model(name, force=force, keep_download=keep_download, say=out.say, bars=out.watched())
        size = folder_bytes(done.folder)
        row = {"name": name, "folder": str(done.folder), "family": done.header.family, "bytes": size}
        row |= picked(done.header, "weights_sha256", "source")
        pulled.append({**row, "fetched": done.fetched})
        if not as_json:
            out.result({}, f"{printed(done.folder)} ({megabytes(size)})")
    if as_json:
        out.result({"models": pulled}, None)


@models_app.command(short_help="Read a checkpoint that was trained elsewhere.")
def convert(
    checkpoint: Annotated[
        Path,
        Argument(
            help="A .ckpt, .pt, .pth, .bin or .safetensors file, or a folder of Accelerate.",
            metavar="FILE",
            readable=False,
        ),
    ],
    family: Annotated[
        str,
        Option(
            "--as",
            metavar="FAMILY",
            help="sweettok, omnitokenizer, vidtok or vidtok-v1.1; the name of a published model; or "
            "generator, OmniTokenizer's language model by class.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None, Option("--output", "-o", help="Folder to write the model into.", show_default="./NAME")
    ] = None,
    name: Annotated[
        str | None, Option(help="The model's name in token files.", show_default="from the file's")
    ] = None,
    words_spatial: Annotated[
        Path | None, Option(help="SweetTok: the pickled adjectives and nouns.", metavar="PICKLE")
    ] = None,
    words_temporal: Annotated[
        Path | None, Option(help="SweetTok: the pickled adverbs and verbs.", metavar="PICKLE")
    ] = None,
    tokenizer: Annotated[
        str | None, Option(help="Generator: the tokenizer that it was trained with.", metavar="MODEL")
    ] = None,
    ema: Annotated[bool, Option("--ema", help="Take the moving average kept beside the weights.")] = False,
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

        sweettok models convert ucf_class_lm.ckpt --as generator --tokenizer omni -o lm

        \b
    sweettok models convert unwrapped_model --as sweettok \\
        --words-spatial noun_adj.pkl --words-temporal verb_adv.pkl
    """
    from sweettok_cli.errors import WrongUsage
    from sweettok_cli.zoo.convert import convert_checkpoint, model_name

    out = Output(json=as_json, quiet=quiet)
    words = None
    if words_spatial is not None or words_temporal is not None:
        if words_spatial is None or words_temporal is None:
            raise WrongUsage("Words come in two files; give both --words-spatial and --words-temporal.")
        words = (words_spatial, words_temporal)
    if (family == _GENERATOR) != (tokenizer is not None):
        raise WrongUsage("--as generator and --tokenizer go together; give both or neither.")
    if tokenizer is not None:
        if words is not None or ema:
            raise WrongUsage(
                "A generator has no words and no moving average of its own; leave those options out."
            )
        _convert_generator(checkpoint, tokenizer, output, name, force, out)
        return
    folder = Path(name or model_name(checkpoint, family)) if output is None else output
    header = convert_checkpoint(
        checkpoint, family, name=name, folder=folder, words=words, averaged=ema, force=force
    )
    for line in _report(checkpoint, header):
        out.say(line)
    data = {"checkpoint": str(checkpoint), "output": str(header.folder)}
    data |= picked(header, "name", "family", "weights_sha256", "source")
    out.result(data, printed(header.folder))


def _convert_generator(
    checkpoint: Path, tokenizer: str, output: Path | None, name: str | None, force: bool, out: Output
) -> None:
    """As :func:`convert`, of a generator."""
    from sweettok_cli.generation.convert import convert_generator
    from sweettok_cli.zoo.local import find_model

    name = name or checkpoint.stem
    folder = output or Path(name)
    card = convert_generator(checkpoint, find_model(tokenizer), folder, name, force)
    out.say(
        f"{name}: {count(card.config.layers, 'layer')}, {card.vocabulary.size:,} symbols, classes "
        f"0 to {len(card.vocabulary.classes) - 1}, by the numbers that it was trained with -> {folder}"
    )
    data = {"checkpoint": str(checkpoint), "output": str(folder), "name": name, "family": _GENERATOR}
    out.result({**data, "tokenizer": card.vocabulary.model}, printed(folder))


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


@models_app.command(short_help="Publish a model's folder on the Hub.")
def push(
    folder: Annotated[
        Path, Argument(help="A model's folder.", metavar="FOLDER", exists=True, file_okay=False)
    ],
    repository: Annotated[str, Argument(help="Where to: OWNER/REPO.", metavar="REPO")],
    private: Annotated[
        bool, Option("--private", help="If the repository is made now, make it private.")
    ] = False,
    revision: Annotated[
        str | None, Option(help="Branch; made if it is missing.", show_default="main")
    ] = None,
    score: Annotated[
        Path | None,
        Option(
            "--eval",
            help="Put the figures of this record of `sweettok eval --json` into the card.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Check everything, say what would be sent, send nothing.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Publish a model's folder on the Hub, in one commit.

    Sent are its configuration, weights, words and card; a card is made if there is none. A damaged folder is
    refused. Log in first: hf auth login. With --eval, the card's metadata get the measured figures.

    Examples:

        sweettok models push runs/first/model OWNER/REPO --dry-run

        sweettok models push runs/first/model OWNER/REPO --private --eval score.json
    """
    from sweettok_cli.zoo.card import read_record
    from sweettok_cli.zoo.pull import megabytes
    from sweettok_cli.zoo.push import plan_push, push_model

    out = Output(json=as_json, quiet=quiet)
    plan = plan_push(folder, repository, revision, None if score is None else read_record(score))
    sizes = plan.sizes
    made = [name for name, content in plan.files.items() if isinstance(content, str)]
    total = megabytes(sum(sizes.values()))
    commit = None
    if not dry_run:
        out.say(f"Sending {plan.header.name} to {plan.url} ({total})")
        commit = push_model(plan, private=private, bars=out.watched())
    listed = lined_up([name, f"{size:,} bytes{' (made)' * (name in made)}"] for name, size in sizes.items())
    ends = f"would be sent to {plan.url}, branch {plan.revision}: {total}" if dry_run else plan.url
    data = {**picked(plan, "repository", "revision", "url"), "model": plan.header.name, "files": sizes}
    data |= {"made": made, "dry_run": dry_run, "commit": commit}
    out.result(data, f"{listed}\n{shown(ends)}")


@models_app.command(short_help="Check models of this machine byte by byte.")
def verify(
    names: Annotated[
        list[str] | None,
        Argument(
            help="Names or folders.", metavar="[NAME|FOLDER]...", show_default="every model that is here"
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check models of this machine: every byte of the weights against their SHA-256, and their structure.

    The exit code is 1 if one is damaged.

    Examples:

        sweettok models verify

        sweettok models verify sweettok-small runs/first/model
    """
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.zoo.local import find_model, local_models
    from sweettok_cli.zoo.verify import check_folder

    out = Output(json=as_json, quiet=quiet)
    folders = {name: find_model(name) for name in names} if names else local_models()
    found: list[dict[str, Any]] = []
    for name, folder in folders.items():
        row: dict[str, Any] = {"name": name, "folder": str(folder)}
        try:
            checked = check_folder(folder)
        except SweettokError as error:
            row |= {"state": "damaged", "detail": f"{str(error).rstrip('.')}; {_remedy(name, folder)}."}
        else:
            detail = f"{checked.tensors} tensors, SHA-256 {checked.header.weights_sha256[:16]}..."
            row |= {"state": "ok", "detail": detail, "bytes": checked.bytes}
        found.append(row)
    damaged = [row["name"] for row in found if row["state"] == "damaged"]
    text = lined_up([row["state"], row["name"], row["detail"]] for row in found)
    out.result({"whole": not damaged, "models": found}, text)
    if damaged:
        out.error(f"Damaged: {', '.join(damaged)}.")
        raise typer.Exit(FAILED)


def _remedy(name: str, folder: Path) -> str:
    from sweettok_cli.zoo.local import shipped_folders, stored_folder

    if folder.parent in shipped_folders():
        return "install sweettok again"
    if folder == stored_folder(name):
        return f"run `sweettok models pull {name} --force`"
    return "export, convert or fetch it again"


def _rows() -> list[dict[str, Any]]:
    """One row a model: those of the catalogue, then what else lies in the store."""
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.files import folder_bytes
    from sweettok_cli.storage.model_folder import ModelFolder
    from sweettok_cli.zoo.catalogue import CATALOGUE
    from sweettok_cli.zoo.local import local_models, shipped_models

    here, shipped = local_models(), shipped_models()
    rows = []
    for model in CATALOGUE:
        row = {**asdict(model), "pinned": model.pinned}
        if folder := here.pop(model.name, None):
            state = "shipped" if model.name in shipped else "pulled"
            rows.append({**row, "state": state, "folder": str(folder), "bytes": folder_bytes(folder)})
        else:
            state = "missing" if model.shipped else "on the Hub" if model.published else "not published"
            rows.append({**row, "state": state, "folder": None})
    for name, folder in here.items():
        row = {"name": name, "folder": str(folder), "bytes": folder_bytes(folder)}
        try:
            header = ModelFolder(folder).header
        except SweettokError as error:
            row |= {"family": "?", "weights_license": "?", "state": "damaged", "note": str(error)}
            rows.append(row)
            continue
        source = header.source.get("pulled", header.source)
        row |= {key: source.get(key, "") for key in ("repository", "revision")}
        row |= {"family": header.family, "state": "shipped" if name in shipped else "pulled"}
        rows.append({**row, "weights_license": header.source.get("weights_license", "see its card")})
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    from sweettok_cli.zoo.pull import megabytes

    columns = {
        "name": [row["name"] for row in rows],
        "family": [str(row["family"]) for row in rows],
        "licence": [str(row["weights_license"]) for row in rows],
        "size": [megabytes(row["bytes"]) for row in rows],
        "state": [row["state"] for row in rows],
        "note": [str(row.get("note", "")) for row in rows],
    }
    return fitted(columns, ("note", "family", "licence", "size"), {"note": 32}, right=("size",))
