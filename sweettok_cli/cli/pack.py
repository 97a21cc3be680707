"""``sweettok pack`` and ``sweettok unpack``: token files whose indices are entropy-coded, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.batch import show_results
from sweettok_cli.cli.output import Output, count

if TYPE_CHECKING:
    from sweettok_cli.packing.file import PackedCost
    from sweettok_cli.pipeline.batch import Result
    from sweettok_cli.pipeline.pack_folder import Repacking

SkipOption = Annotated[
    bool,
    Option(
        "--skip-existing",
        help="Leave out what has been made before: resume a long job. With --force, do again what has "
        "changed since.",
    ),
]
HolderOption = Annotated[
    str | None,
    Option("--model", "-m", help="Model whose token prior to use.", show_default="the one that encoded"),
]


def pack(
    inputs: Annotated[
        list[Path],
        Argument(help="Token files (.npz), or folders of them.", metavar="TOKENS|DIR", readable=False),
    ],
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            help="File (.swt) for one token file, else a folder to write into.",
            show_default="beside the token file",
            metavar="PATH",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: SkipOption = False,
    model: HolderOption = None,
    alone: Annotated[
        bool, Option("--alone", help="Use no token prior: larger, and unpacked without any model.")
    ] = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Pack token files: the same tokens in fewer bits (.swt), their indices entropy-coded.

    Nothing is lost: `sweettok unpack` gives back the token file byte for byte, and every command that reads
    token files reads packed ones too. Where the model has a token prior, the file is packed with it and needs
    it again. Continuous latents are deflated.

    Folders are searched for token files, and their structure is kept; a file that fails is listed, the others
    are still packed, and the exit code is 1. The paths written are printed on stdout.

    Examples:

        sweettok pack clip.npz

        sweettok pack tokens -o packed --skip-existing --json

        sweettok pack clip.npz -o clip.swt --alone
    """
    if alone and model is not None:
        raise BadParameter("--alone uses no model; give one of them.")
    from sweettok_cli.pipeline.pack_folder import packing
    from sweettok_cli.zoo.token_files import given_prior, prior_of

    prior = prior_of if model is None else given_prior(model)
    how = packing((lambda meta: None) if alone else prior)
    _repack(inputs, output, how, "packed", force, skip_existing, Output(json=as_json, quiet=quiet))


def unpack(
    inputs: Annotated[
        list[Path],
        Argument(help="Packed token files (.swt), or folders of them.", metavar="FILE|DIR", readable=False),
    ],
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            help="File (.npz) for one packed file, else a folder to write into.",
            show_default="beside the packed file",
            metavar="PATH",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: SkipOption = False,
    model: HolderOption = None,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Unpack packed token files (.swt): the token files (.npz) that they were made from, byte for byte.

    A file that was packed with a token prior needs that prior, in the folder of a shipped or pulled model or
    of the one that --model names.

    Examples:

        sweettok unpack clip.swt

        sweettok unpack packed -o tokens --skip-existing
    """
    from sweettok_cli.pipeline.pack_folder import unpacking
    from sweettok_cli.zoo.local import find_model

    how = unpacking(None if model is None else find_model(model))
    _repack(inputs, output, how, "unpacked", force, skip_existing, Output(json=as_json, quiet=quiet))


def _repack(
    inputs: list[Path],
    output: str | None,
    how: Repacking,
    done: str,
    force: bool,
    skip_existing: bool,
    out: Output,
) -> None:
    from sweettok_cli.packing.file import PACKED
    from sweettok_cli.pipeline.pack_folder import repack_folder
    from sweettok_cli.pipeline.plan import is_batch

    progress = out.overall("clips")
    results = repack_folder(
        inputs,
        None if output is None else Path(output),
        how,
        to_folder=options.names_folder(output),
        force=force,
        skip_existing=skip_existing,
        watch=progress.watch,
    )
    packs = how.output == PACKED
    show_results(
        results,
        out,
        progress,
        done,
        batch=is_batch(inputs, how.verb),
        describe=_describe_packed if packs else _describe_plain,
        total=packed_total if packs else None,
    )


def _describe_packed(result: Result) -> tuple[dict[str, Any], str]:
    from sweettok_cli.packing.file import PackedFile
    from sweettok_cli.tokens import token_cost

    assert result.output is not None and result.meta is not None
    bits, cost = token_cost(result.meta).bits, PackedFile.open(result.output).cost
    record = {"clips": result.meta.clips, "bits": bits, **vars(cost)}
    return record, f"{count(result.meta.clips, 'clip')}, {bits / 1000:.1f} kbit {packed_text(cost)}"


def packed_text(cost: PackedCost) -> str:
    """What is said of a packed file, after its true bits."""
    how = "" if cost.prior_sha256 else ", without a token prior"
    return f"in {8 * cost.file_bytes / 1000:.1f} kbit, {times_smaller(cost.ratio)}{how}"


def times_smaller(ratio: float, than: str = "") -> str:
    """In words what a packed file is, of which the true bits are so many times its own; or larger."""
    than = than and f" than {than}"
    if 0 < ratio <= 0.995:
        return f"{1 / ratio:.2f} times larger{than}"
    return f"{ratio:.2f} times smaller{than}" if ratio >= 1.005 else f"no smaller{than}"


def packed_total(records: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The sum over packed files, and what to say of it."""
    total: dict[str, Any] = {
        key: sum(record[key] for record in records) for key in ("clips", "bits", "file_bytes", "coded_bits")
    }
    bits, packed = total["bits"], 8 * total["file_bytes"]
    total["ratio"] = bits / packed if packed else None
    text = f"in all {bits / 1000:.1f} kbit in {packed / 1000:.1f} kbit"
    return total, text + (f", {times_smaller(total['ratio'])}" if packed else "")


def _describe_plain(result: Result) -> tuple[dict[str, Any], str]:
    assert result.output is not None and result.meta is not None
    size = result.output.stat().st_size
    record = {"clips": result.meta.clips, "file_bytes": size}
    return record, f"{count(result.meta.clips, 'clip')}, {8 * size / 1000:.1f} kbit"
