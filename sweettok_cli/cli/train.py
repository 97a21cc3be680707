"""``sweettok train``: one stage of the curriculum."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from sweettok_cli.cli.options import JsonOption, QuietOption
from sweettok_cli.cli.output import Output


def train(
    data: Annotated[
        list[Path], Option(help="Folder of videos, images or tar shards, or one of these; can be repeated.")
    ],
    stage: Annotated[
        int | None,
        Option(min=1, max=3, help="1 spatial half on pictures, 2 both halves on clips, 3 decoder."),
    ] = None,
    config: Annotated[
        str | None,
        Option(help="Recipe: a TOML file or a shipped one by name.", show_default="sweettok-small-stage<n>"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe; can be repeated."),
    ] = None,
    out: Annotated[
        Path | None, Option("--out", "-o", help="The run's folder.", show_default="runs/<recipe>")
    ] = None,
    val: Annotated[
        Path | None, Option(help="Folder of clips to measure on from time to time; never trained on.")
    ] = None,
    init: Annotated[Path | None, Option(help="Model folder to start from.")] = None,
    prior: Annotated[
        Path | None, Option(help="Word prior of a new network (sweettok codebook build).")
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Continue the run in --out where its checkpoint ends.")
    ] = False,
    max_minutes: Annotated[
        float | None, Option(min=0, help="End by then at the latest; the learning rate follows the clock.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train a tokenizer; stop with Ctrl-C and go on with --resume.

    The run's folder holds recipe.toml, log.jsonl, samples/ (source | result), checkpoints/ and model/, the
    averaged weights as a model that --model takes, also while training goes on.

    Examples:

        sweettok codebook build -o prior

        sweettok train --stage 2 --data clips --prior prior --out runs/first --set lr=3e-4 --max-minutes 120

        sweettok train --data clips --out runs/first --resume

        accelerate launch -m sweettok_cli train --stage 3 --data clips --init runs/first/model
    """
    from sweettok_cli.errors import SweettokError
    from sweettok_cli.training.recipe import load_recipe

    changes = list(settings or ())
    if max_minutes is not None:
        changes.append(f"minutes={float(max_minutes)}")
    if resume:
        if out is None:
            raise SweettokError("--resume needs the folder of the run; give it with --out.")
        if config is None:
            config = str(out / "recipe.toml")
    recipe = load_recipe(stage, config, changes)
    folder = out or Path("runs") / Path(config or f"sweettok-small-stage{recipe.stage}").stem
    output = Output(json=as_json, quiet=quiet)
    try:
        from sweettok_cli.models.registry import task_of
        from sweettok_cli.training.loop import RunOptions
        from sweettok_cli.training.loop import train as run
    except ModuleNotFoundError as error:
        if error.name not in ("accelerate", "tomli_w"):
            raise
        how = "install it with: pip install 'sweettok[train]'"
        raise SweettokError(f"Training needs {error.name}; {how}") from error

    task = task_of(recipe, init, prior)
    summary = run(RunOptions(task, recipe, data, folder, val, resume), output.say)
    if summary is not None:
        output.result(summary, f"{summary['model']}: {summary['step']} steps in {summary['minutes']} minutes")
