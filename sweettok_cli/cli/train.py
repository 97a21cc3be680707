"""``sweettok train``: one stage of the curriculum."""

from __future__ import annotations

import json
import math
import shlex
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sweettok_cli.cli.board import voice_of
from sweettok_cli.cli.columns import fitted
from sweettok_cli.cli.dry_run import Asked, dry_run
from sweettok_cli.cli.interruption import Told, command, ended_by
from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import FAILED, INTERRUPTED, Output, count, shown, text_width

if TYPE_CHECKING:
    from sweettok_cli.training.recipe import Recipe

_WIDE = 110  # columns from which on recipes are a table


def train(
    data: Annotated[
        list[Path] | None,
        Option(
            help="Folder of videos, images or tar shards, one of these, shards-{000..009}.tar, or a list "
            "(.txt, .csv, .tsv, .jsonl); for a generator token files, or folders of them; can be repeated.",
            show_default="with --resume, the run's",
        ),
    ] = None,
    stage: Annotated[
        int | None,
        Option(
            min=1,
            max=4,
            help="SweetTok: 1 spatial half on pictures, 2 both halves on clips, 3 decoder, "
            "4 levels of detail. VidTok: 1 the whole network, 2 decoder. OmniTokenizer: 1 pictures, "
            "2 clips and pictures, 3 continuous latents.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        Option(
            help="Recipe: a TOML file or a shipped one by name.",
            show_default="sweettok-small-stage<n>, or as the run in --init",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; can be repeated."),
    ] = None,
    keys: Annotated[
        bool, Option("--keys", help="List the keys of the recipe, with what they mean, and train nothing.")
    ] = False,
    list_recipes: Annotated[
        bool, Option("--list-recipes", help="List the shipped recipes, and train nothing.")
    ] = False,
    out: Annotated[
        Path | None, Option("--out", "-o", help="The run's folder.", show_default="runs/<recipe>")
    ] = None,
    val: Annotated[
        Path | None,
        Option(
            help="Folder of clips to measure on from time to time; never trained on.",
            show_default="with --resume, the run's",
        ),
    ] = None,
    init: Annotated[
        str | None, Option(help="Model to start from: a name, a folder, or a run.", metavar="MODEL|RUN")
    ] = None,
    prior: Annotated[
        str | None,
        Option(
            help="Words of a new network: a word prior (sweettok codebook build), or a model that has words.",
            metavar="PRIOR|MODEL",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        Option(
            help="Tokenizer whose codes the network compact learns first: an OmniTokenizer's name or folder.",
            metavar="MODEL",
            show_default="the recipe's",
        ),
    ] = None,
    init_words_from: Annotated[
        str | None,
        Option(
            help="Language model whose own vectors of the words start a new generator's symbols.",
            metavar="NAME",
            show_default="random ones",
        ),
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Continue the run in --out where its checkpoint ends.")
    ] = False,
    dry: Annotated[
        bool,
        Option(
            "--dry-run",
            help="Say what would be trained, on which data, in how much memory, and what is missing; train "
            "and write nothing.",
        ),
    ] = False,
    max_minutes: Annotated[
        float | None,
        Option(
            min=0,
            help="End by then at the latest, counted over all parts of the run; the learning rate follows.",
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a tokenizer, or a generator over tokens; stop with Ctrl-C and go on with --resume.

    The run's folder holds recipe.toml, run.json (where the data lie), log.jsonl, samples/ (source | result |
    difference, as sheets and videos), checkpoints/ and model/, the averaged weights as a model that --model
    takes, also while training goes on; best/ is the one with the best figure on --val. On a terminal, a table
    shows the last figures.

    Examples:

        sweettok codebook build -o prior

        sweettok train --stage 2 --data clips --prior prior --out runs/first --set lr=3e-4 --max-minutes 120

        sweettok train --out runs/first --resume

        sweettok train --stage 2 --data clips --init sweettok-small --out runs/mine

        sweettok train --stage 3 --data clips --init runs/mine --out runs/last

        sweettok train --stage 2 --data clips --init sweettok-small --dry-run

        sweettok train --config generator-small --data tokens --val held-out-tokens --out runs/generator

        sweettok train --list-recipes

        sweettok train --keys --stage 3

        accelerate launch --multi_gpu --num_processes 2 -m sweettok_cli train --data clips --init runs/first
    """
    begun = time.perf_counter()  # the minutes are those of whoever waits
    from sweettok_cli.errors import SweettokError, WrongUsage
    from sweettok_cli.training.recipe_file import load_recipe, recipe_names
    from sweettok_cli.training.recipe_table import describe_keys, describe_recipes

    changes = list(settings or ())
    if max_minutes is not None:
        changes.append(f"minutes={float(max_minutes)}")
    if teacher is not None:
        folder_of = Path(teacher).absolute() if Path(teacher).exists() else teacher
        changes.append(f"teacher={json.dumps(str(folder_of), ensure_ascii=False)}")
    if init_words_from is not None:
        changes.append(f"words_from={json.dumps(init_words_from, ensure_ascii=False)}")
    if init is not None and prior is not None:
        raise WrongUsage("A model that is trained on brings its words; give --init or --prior, not both.")
    if init is not None and (key := next((c for c in changes if c.startswith("model.")), None)):
        raise WrongUsage(f"--init brings its own network; leave out --set {key}, or start from a --prior.")
    if resume:
        if out is None:
            raise WrongUsage("--resume needs the folder of the run; give it with --out.")
        if init is not None or prior is not None:
            raise WrongUsage("--resume goes on from the run's checkpoint; leave out --init and --prior.")
        if config is None:
            config = str(out / "recipe.toml")
            if not Path(config).exists():
                raise SweettokError(
                    f"There is no run in {out}; check its name, or start one without --resume."
                )
    output = Output(json=as_json, quiet=quiet)
    if list_recipes:
        shipped = describe_recipes()
        output.result({"recipes": shipped}, None if as_json else _listing(shipped))
        return
    if config is None:
        config = _next_recipe(init, stage or 2)
    recipe = load_recipe(stage, config, changes)
    if keys:
        rows = describe_keys(recipe)
        output.result({"keys": rows}, None if as_json else _table(rows))
        return
    folder = out or Path("runs") / Path(config).stem
    try:
        from sweettok_cli.cli.trainable import task_of
        from sweettok_cli.training.loop import RunOptions
        from sweettok_cli.training.loop import train as run
    except ModuleNotFoundError as error:
        if error.name not in ("accelerate", "tomli_w"):
            raise
        how = "install it with: pip install 'sweettok[train]'"
        raise SweettokError(f"Training needs {error.name}; {how}") from error

    from sweettok_cli.generation.config import is_generator
    from sweettok_cli.training.record import RunRecord, read_record
    from sweettok_cli.training.tracker import check_tracker
    from sweettok_cli.zoo.load import resolve_model

    if not dry:
        check_tracker(recipe.tracker)
    kept = read_record(folder) if resume else None
    if not data and kept is not None:
        data = list(map(Path, kept.data))
    if not data:
        raise SweettokError(
            "There is nothing to train on; give folders, shards or lists of clips with --data."
        )
    if val is None and kept is not None and kept.val is not None:
        val = Path(kept.val)
    if (
        kept is not None
        and kept.prior is not None
        and is_generator(recipe.model)
        and Path(kept.prior).exists()
    ):
        prior = kept.prior  # whose tokenizer makes videos of what is drawn
    if dry:
        dry_run(Asked(recipe, data, val, init, prior, folder, resume), output)
        return
    start = None if init is None else resolve_model(init, output.say)
    words = None if prior is None else Path(prior)
    if words is not None and not words.exists():
        words = resolve_model(prior or "", output.say)
    started = config if config in recipe_names() else None
    record = kept or replace(RunRecord.of(data, val, start, words), recipe=started)
    now = RunRecord.of(data, val, None, None)
    record = replace(record, data=now.data, val=now.val)
    taught_by = resolve_model(recipe.teacher, output.say) if recipe.teacher else None
    task = task_of(recipe, start, words, taught_by)
    with ended_by(output.say, lambda why: f"{why}; {_left(folder)}"):
        summary = run(RunOptions(task, recipe, record, folder, resume, begun), voice_of(output))
    if summary is None:
        return
    done = f"{summary['model']}: {count(summary['step'], 'step')} in {summary['minutes']} minutes"
    output.result(summary, None if summary["interrupted"] else shown(done))
    if summary["interrupted"]:
        output.say(f"Interrupted; {_left(folder)}")
        raise Told(INTERRUPTED)
    if summary["step"] == summary["begun"]:
        output.say(_how_to_train_on(recipe, summary, folder))
        if not summary["step"]:  # a model that nothing has trained is no result
            raise Told(FAILED)


def _left(folder: Path) -> str:
    """What there is of a run that has been interrupted, and how to go on."""
    from sweettok_cli.training.checkpoint import CheckpointStore

    saved = CheckpointStore(folder / "checkpoints", keep=1).steps()
    if not saved:
        return f"no step was saved. To start again: {command()}"
    return f"the run is saved up to step {saved[-1]}. To go on: {_resumed(folder)}"


def _how_to_train_on(recipe: Recipe, summary: dict[str, Any], folder: Path) -> str:
    """What to say of a run that had nothing left to do when it began."""
    if summary["step"] >= recipe.steps:
        step, more = summary["step"], f"--set steps={2 * summary['step']}"
        past = f"the run is at step {step}, past steps={recipe.steps}"
        how = f"all {step} are done" if step == recipe.steps else past
        return f"No step was left: {how}. To train on: {_resumed(folder)} {more}"
    more = f"--max-minutes {math.ceil(summary['minutes'] + max(1.0, recipe.minutes))}"
    return (
        f"No time was left for a step: of {recipe.minutes:g} minutes, {summary['minutes']} are over; a run's "
        f"start and all its parts count. To train on: {_resumed(folder)} {more}"
    )


def _resumed(folder: Path) -> str:
    return shlex.join(["sweettok", "train", "--out", str(folder), "--resume"])


def _next_recipe(init: str | None, stage: int) -> str:
    """The recipe of a stage where none is named: that of the run which it goes on from, if one is shipped."""
    from sweettok_cli.training.recipe_file import recipe_names
    from sweettok_cli.training.record import read_record

    folders = [] if init is None else [Path(init), Path(init).parent]  # of the run, or of the model in it
    records = [found for folder in folders if (found := read_record(folder)) is not None]
    before = records[0].recipe if records else None
    if before in recipe_names() and "-stage" not in before:  # of what is trained in one stage
        return before
    name = f"{(before or '').rpartition('-stage')[0]}-stage{stage}"
    return name if name in recipe_names() else f"sweettok-small-stage{stage}"


def _listing(recipes: list[dict[str, Any]]) -> str:
    """The shipped recipes: a line each, or a few where there is no room for that."""
    columns: dict[str, list[str]] = {"recipe": [], "steps": [], "samples a device": [], "what": []}
    for row in recipes:
        samples = ", ".join(f"{count} of {frames}x{side}x{side}" for count, frames, side in row["samples"])
        taught = f"; teacher {row['teacher']}" if row["teacher"] else ""
        cells = row["recipe"], f"{row['steps']:,}", samples, f"{row['what']}{taught}"
        for column, cell in zip(columns.values(), cells, strict=True):
            column.append(cell)
    if text_width() >= _WIDE:
        return fitted(columns, ("samples a device",), {"what": 30}, right=("steps",))
    lines = []
    for name, steps, samples, what in zip(*columns.values(), strict=True):
        about = textwrap.wrap(
            f"{what}. {steps} steps, {samples} a device.", max(20, text_width() - 2), break_on_hyphens=False
        )
        lines += [name, *(f"  {line}" for line in about)]
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> str:
    """The keys of a recipe; a default is shown where the recipe has another value."""
    columns = {
        "key": [row["key"] for row in rows],
        "type": [row["type"] for row in rows],
        "value": [_written(row["value"]) for row in rows],
        "default": ["" if row["value"] == row["default"] else _written(row["default"]) for row in rows],
        "meaning": [row["meaning"] + (f" ({row['range']})" if row["range"] else "") for row in rows],
    }
    return fitted(columns, ("default", "type"), {"value": 14, "default": 14, "meaning": 40})


def _written(value: Any) -> str:
    """A value much as ``--set`` takes it."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_written(one)}" for key, one in value.items()) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
