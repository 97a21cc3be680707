"""``sweettok encode``: videos and images to token files."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.batch import show_results
from sweettok_cli.cli.dataset import (
    DataSetProgress,
    Engine,
    EngineOption,
    Format,
    FormatOption,
    RayAddressOption,
    RetryOption,
    ShardOption,
    WorkersOption,
    devices_of,
    exported,
    is_data_set,
    part_of_launch,
    ray_of,
)
from sweettok_cli.cli.output import Output, count, picked
from sweettok_cli.cli.pack import packed_text
from sweettok_cli.cli.stream import stream
from sweettok_cli.errors import WrongUsage, option
from sweettok_cli.runtime import use_one_heap
from sweettok_cli.zoo.catalogue import DEFAULT_MODEL

if TYPE_CHECKING:
    from sweettok_cli.cli.progress import Overall
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.batch import Result
    from sweettok_cli.tokens.layout import TokenizerSpec
    from sweettok_cli.video.loss import Loss


def encode(
    inputs: Annotated[
        list[str],
        Argument(
            help="Videos, images, folders, tar files or lists of them (.txt, .csv with a column path, "
            ".jsonl); addresses of files and folders (https://, s3://, hf://); numbered pictures "
            "(img_%04d.png); - for a pipe.",
            metavar="FILE|DIR|URL|-",
        ),
    ],
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            help="File (.npz, or .swt packed) for one source, else a folder to write into.",
            show_default="beside the source; of URLs and pipes in the working folder",
            metavar="PATH",
        ),
    ] = None,
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option(
            "--skip-existing",
            help="Leave out what this model has encoded before: resume a long job. With --force, do "
            "again what has changed since. Of a data set, what its manifest lists is left out anyhow, and "
            "this takes in token files that it does not list.",
        ),
    ] = False,
    workers: WorkersOption = None,
    shard: ShardOption = None,
    engine: EngineOption = Engine.local,
    ray_address: RayAddressOption = None,
    retry_failed: RetryOption = False,
    kind: FormatOption = Format.npz,
    compact: Annotated[
        bool,
        Option(
            "--compact",
            help="Write packed token files (.swt): the same tokens in fewer bits, see `sweettok help pack`.",
        ),
    ] = False,
    frames_of: options.FramesOption = False,
    start: options.StartOption = None,
    end: options.EndOption = None,
    fps: options.TakenFpsOption = None,
    short_side: options.ShortSideOption = None,
    max_frames: options.MaxFramesOption = None,
    live: Annotated[
        bool,
        Option(
            "--stream",
            help="Of one video: print each clip's tokens as a line of JSON as soon as they are there. The "
            "token file is written if -o is given.",
        ),
    ] = False,
    model: options.ModelOption = DEFAULT_MODEL,
    device: options.DeviceOption = options.Device.auto,
    dtype: options.DtypeOption = options.Dtype.auto,
    batch_clips: options.BatchClipsOption = None,
    overlap: options.OverlapOption = 0,
    tokens: options.TokensOption = None,
    quality: options.QualityOption = None,
    fixed: options.FixedOption = False,
    sample: options.SampleOption = None,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Encode videos and images into token files (.npz, packed .swt).

    Folders are searched for videos and images, and their structure is kept. clip.mp4 becomes clip.npz; other
    endings stay in the name (clip.avi.npz, photo.jpg.npz), whatever else there is. A file that fails is
    listed, the others are still encoded, and the exit code is 1. The paths written are printed on stdout. The
    same command may run several times at once: each file is encoded by one of them.

    A folder, tar file or list with a folder to write into (-o) is a data set: a manifest there says what was
    made of which content, with which weights and options, and the same command, run again, goes on.

    Examples:

        sweettok encode clip.mp4

        sweettok encode clip.mp4 photo.jpg -o tokens/

        sweettok encode videos -o tokens --json > summary.json

        sweettok encode clips.csv shard.tar -o tokens --workers 8 --shard 2/16

        sweettok encode videos -o tokens --fixed --format webdataset

        sweettok encode clip.mp4 --compact

        sweettok encode --frames-of shots --fps 24

        sweettok encode long.mp4 --start 1:02:30 --end 1:03:00 --fps 10 --short-side 256

        sweettok encode https://example.org/clip.mp4 -o tokens/

        ffmpeg -i rtsp://camera -f yuv4mpegpipe - | sweettok encode - --stream > tokens.jsonl
    """
    options.check_damage(keep_going, strict)
    selection = options.selection_of(start, end, fps, short_side, max_frames)
    budget = options.budget_of(tokens, quality, fixed)
    use_one_heap()
    from sweettok_cli.packing.token_file import PACKED, PLAIN
    from sweettok_cli.pipeline.dataset import Settings
    from sweettok_cli.pipeline.encode_dataset import Sources, Workforce, encode_dataset
    from sweettok_cli.pipeline.folder import encode_folder, other_files
    from sweettok_cli.pipeline.missed import warnings_of
    from sweettok_cli.pipeline.plan import is_batch
    from sweettok_cli.pipeline.share import Share
    from sweettok_cli.video.inputs import read_input

    out = Output(json=as_json, quiet=quiet)
    sources = [read_input(each) for each in inputs]
    batch = is_batch(sources, frames=frames_of)
    place = Path(output) if output is not None else None
    ending = PACKED if compact or (output or "").lower().endswith(PACKED) else PLAIN

    def tokenizer() -> Tokenizer:
        from sweettok_cli.zoo.load import load

        return load(model, device.value, dtype.value, sample=sample, on_progress=out.say if quiet else None)

    @cache
    def folder() -> Path:
        from sweettok_cli.zoo.load import resolve_model

        return resolve_model(model, out.say if quiet else None)

    @cache
    def spec() -> TokenizerSpec:
        from sweettok_cli.models.registry import read_spec
        from sweettok_cli.storage.model_folder import ModelFolder

        return read_spec(ModelFolder(folder()))

    where: dict[str, Any] = {"to_folder": options.names_folder(output), "ending": ending}
    where |= {"frames": frames_of, "rate": selection.fps}
    how: dict[str, Any] = {"overlap": overlap, "budget": budget, "selection": selection}
    how |= {"keep_going": keep_going, "strict": strict}
    if live:
        if batch or skip_existing or as_json or batch_clips is not None:
            raise WrongUsage(
                "--stream encodes one video, clip by clip, and prints JSON; leave out folders, other files, "
                "--skip-existing, --json and --batch-clips."
            )
        stream(sources, place, tokenizer, out, force=force, planned=where, how=how)
        return
    how["batch_clips"] = batch_clips
    progress: Overall | DataSetProgress
    also: dict[str, Any] = {}
    launched = False  # with other parts
    asked = {"workers": workers, "shard": shard, "retry_failed": retry_failed}
    asked["format"] = None if kind is Format.npz else kind.value
    ray = ray_of(engine, ray_address, device.value)
    if is_data_set(sources, place, batch, engine=ray and engine.value, **asked):
        from sweettok_cli.zoo.load import load

        assert place is not None
        progress = DataSetProgress(out, ["--skip-existing"] * force)
        share = Share.told() if shard is None else Share.read(shard)
        launched = shard is None and share.count > 1
        also["manifest"] = str(share.manifest_in(place))
        if kind is not Format.npz:
            from sweettok_cli.pipeline.export_dataset import check_exportable

            if share.count > 1:
                raise WrongUsage(
                    f"A part has no shards of its own; leave out {option('format', kind.value)}, and give "
                    "the folder to `sweettok export` when all parts have ended."
                )
            check_exportable(spec(), place, kind.value)
        if share.count > 1:
            out.say(f"Part {share} of the data set.")
        beside = {"dtype": dtype.value.replace("auto", ""), "sample": "" if sample is None else f"{sample}"}
        settings = Settings(spec(), how, beside, folder(), force, skip_existing, retry_failed)
        results = progress.watched(
            encode_dataset(
                Sources(sources, place, **where),
                settings,
                Workforce(
                    partial(
                        load, model, dtype=dtype.value, sample=sample, on_progress=out.say if quiet else None
                    ),
                    partial(devices_of, device.value),
                    workers,
                    share,
                    ray,
                ),
                progress,
                out.warn,
            )
        )
        if kind is not Format.npz:
            results = exported(results, place, kind, settings, ending, out, also)
    else:
        progress = out.overall()
        results = encode_folder(
            sources,
            place,
            tokenizer,
            force=force,
            skip_existing=skip_existing,
            spec=spec,
            watch=progress.watch,
            **where,
            **how,
        )
    others = [] if frames_of else other_files(sources)
    if others:
        names = ", ".join(path.name for path in others[:5])
        names += f" and {len(others) - 5} more" if others[5:] else ""
        out.say(f"Left out, being no videos or pictures by their names: {names}.")
    told: set[str] = set()

    def describe(result: Result) -> tuple[dict[str, Any], str]:
        record, text = _describe(result)
        if flat := set(record["flattened"]) - told:
            told.update(flat)
            out.say(f"{result.source}: {' and '.join(sorted(flat))}, here and in others like it.")
        assert result.meta is not None
        warnings = warnings_of(str(result.source), result.meta, result.worst, budget)
        for said in warnings:
            out.warn(said)
        asked = {"budget": str(budget) or None, "worst_psnr": result.worst, "warnings": warnings}
        return record | asked, text

    with part_of_launch(out, launched):
        show_results(results, out, progress, "encoded", batch=batch, describe=describe, also=also)


def _describe(result: Result) -> tuple[dict[str, Any], str]:
    from sweettok_cli.packing.file import PackedFile, looks_packed
    from sweettok_cli.tokens import token_cost

    meta = result.meta
    assert meta is not None and result.output is not None
    cost = token_cost(meta)
    packed = PackedFile.open(result.output).cost if looks_packed(result.output) else None
    record = {
        **picked(meta, "model", "frames", "clips"),
        **picked(cost, "tokens", "indices", "bits"),
        "flattened": result.info.stored.flattened if result.info else [],
        "lost": _lost(result.loss) if result.loss else None,
        "file_bytes": result.output.stat().st_size,
        "packed": packed and picked(packed, "coded_bits", "ratio", "prior_sha256"),
    }
    mean = f" ({cost.tokens / meta.clips:,.0f} a clip)" if meta.levels and meta.clips > 1 else ""
    return record, (
        f"{count(meta.frames, 'frame')}, {count(meta.clips, 'clip')}, {cost.tokens:,} tokens{mean}, "
        f"{cost.bits / 1000:.1f} kbit" + (f" {packed_text(packed)}" if packed else "")
    )


def _lost(loss: Loss) -> dict[str, Any]:
    return {
        **picked(loss, "packets", "frames"),
        "gaps": [{"start": float(gap.start), "seconds": float(gap.seconds)} for gap in loss.gaps],
        "end": None if loss.end is None else float(loss.end),
        "text": loss.words,
    }
