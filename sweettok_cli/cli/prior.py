"""``sweettok models prior``: what the tokens of a model are like, for packing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from sweettok_cli.cli.options import ForceOption, JsonOption, ModelOption, QuietOption
from sweettok_cli.cli.output import Output, count, printed
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL


def prior(
    inputs: Annotated[
        list[Path],
        Argument(help="Token files of one model, or folders of them.", metavar="TOKENS|DIR", readable=False),
    ],
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="File to write (.safetensors).",
            show_default="prior.safetensors in the model's folder",
            metavar="FILE",
        ),
    ] = None,
    model: ModelOption = DEFAULT_MODEL,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the token prior of a model: `sweettok pack` then takes fewer bits.

    It holds how often each index came, and how often indices nearby came again. Give token files of videos
    unlike each other, a hundred or more. Files that were packed with a prior need that same prior: keep the
    one that a model has, and make another with other weights.

    Examples:

        sweettok encode videos -o tokens

        sweettok models prior tokens

        sweettok models prior tokens --model runs/first/model --json
    """
    from sweettok_cli.files import check_ending, check_target
    from sweettok_cli.packing.prior import PRIOR_FILE
    from sweettok_cli.pipeline.learn_prior import learn_prior
    from sweettok_cli.zoo.local import find_model

    out = Output(json=as_json, quiet=quiet)
    if output is not None:
        check_ending(output, (Path(PRIOR_FILE).suffix,), "name it so with -o")
    folder = find_model(model)
    target = folder / PRIOR_FILE if output is None else output
    check_target(target, force)
    learned, files = learn_prior(inputs, folder, out.overall("clips").watch)
    learned.write(target, force)
    out.say(f"{count(files, 'file')}: {len(learned.content):,} bytes, SHA-256 {learned.sha256[:12]}...")
    data = {"output": str(target), "files": files, "bytes": len(learned.content), "sha256": learned.sha256}
    out.result({**data, "weights_sha256": learned.weights_sha256}, printed(target))
