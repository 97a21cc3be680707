"""``sweettok generate``: new videos out of a generator, as token files and videos."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import BadParameter, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import Output, printed
from sweettok_cli.cli.output import count as counted
from sweettok_cli.runtime import use_one_heap

if TYPE_CHECKING:
    from sweettok_cli.generation.prompt import Beginning

_ENDINGS = (".npz", ".mp4")  # of the files of a video


def generate(
    model: Annotated[
        str,
        Option(
            "--model", "-m", help="A run of `sweettok train`, or its model's folder.", metavar="RUN|FOLDER"
        ),
    ],
    label: Annotated[
        str | None, Option("--class", help="Class of the videos.", metavar="NAME", show_default="none")
    ] = None,
    count: Annotated[int, Option("--count", "-n", min=1, max=1_000_000, help="How many videos.")] = 1,
    prompt: Annotated[
        Path | None,
        Option(
            help="What they begin with: a video or its token file, whose whole clips are gone on from, or a "
            "picture as the first frame.",
            metavar="FILE",
            readable=False,
        ),
    ] = None,
    prompt_clips: Annotated[
        int | None,
        Option(
            min=1, help="Go on from so many of its clips, the first ones.", show_default="all that are whole"
        ),
    ] = None,
    frames: Annotated[
        int | None,
        Option(min=1, help="Of each video, with those of the prompt.", show_default="one clip, or one more"),
    ] = None,
    seed: Annotated[int, Option(min=0, help="Of all that is drawn: the same again for the same seed.")] = 0,
    cfg: Annotated[float, Option(min=0, help="Guidance towards the class; 1 is none.")] = 1.0,
    temperature: Annotated[
        float, Option(min=0, help="Below 1 likelier symbols are drawn; 0 takes the likeliest always.")
    ] = 1.0,
    top_k: Annotated[int, Option(min=0, help="Draw from so many of the likeliest symbols; 0: from all.")] = 0,
    top_p: Annotated[
        float, Option(min=0, max=1, help="Draw from the likeliest that have so much probability together.")
    ] = 1.0,
    output: Annotated[
        str, Option("--output", "-o", help="Folder to write into; made if it is missing.", metavar="DIR")
    ] = "generated",
    force: options.ForceOption = False,
    skip_existing: Annotated[
        bool,
        Option(
            "--skip-existing",
            help="Pass over videos whose two files are there, by seed and number: resume a long job.",
        ),
    ] = False,
    tokenizer: Annotated[
        str | None,
        Option(
            help="Name or folder of the tokenizer whose tokens were learned.",
            metavar="MODEL",
            show_default="found by its name",
        ),
    ] = None,
    device: options.DeviceOption = options.Device.auto,
    batch: Annotated[int, Option(min=1, help="Videos that are drawn at once.")] = 8,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Generate videos: new ones, of a class or of none, or what follows a beginning.

    Each becomes a token file and a video, NAME-SEED-NUMBER.npz and .mp4, in the folder; their paths are
    printed on stdout. NAME is that of the prompt and of the class, if they are given. A longer video is made
    clip by clip, each following those before it. What follows a video keeps its frame rate.

    Examples:

        sweettok generate --model runs/generator-small -n 4 --seed 1 -o out

        sweettok generate --model runs/ucf --class Basketball -n 4 --seed 1 --cfg 2 -o out

        sweettok generate --model runs/generator-small --prompt clip.mp4 --prompt-clips 1 --frames 51 -o out
    """
    if not top_p:
        raise BadParameter("0 leaves nothing to draw from.", param_hint="--top-p")
    for how, number in (("--temperature", temperature), ("--cfg", cfg)):
        if not math.isfinite(number):
            raise BadParameter("give a number that is finite.", param_hint=how)
    if cfg != 1 and label is None:
        raise BadParameter("guidance is towards a class; name one with --class.", param_hint="--cfg")
    if prompt_clips is not None and prompt is None:
        raise BadParameter("name the prompt with --prompt.", param_hint="--prompt-clips")
    folder = _folder(output)
    use_one_heap()
    from sweettok_cli.files import check_target
    from sweettok_cli.generation.folder import find_generator, read_card
    from sweettok_cli.generation.generator import VideoGenerator
    from sweettok_cli.generation.prompt import Beginning, is_tokens, read_prompt
    from sweettok_cli.generation.sampling import Drawing
    from sweettok_cli.generation.tokenizer import tokenizer_of
    from sweettok_cli.generation.wish import Wish
    from sweettok_cli.pipeline.decode import decode_video
    from sweettok_cli.tokens import token_cost
    from sweettok_cli.video.source import check_readable
    from sweettok_cli.zoo.token_files import write_tokens

    out = Output(json=as_json, quiet=quiet)
    place = find_generator(model)
    card = read_card(place)
    drawing = Drawing(temperature, top_k, top_p, cfg)
    Wish(label, frames, seed=seed, drawing=drawing).check(card)
    given = None
    if prompt is not None:
        check_readable(prompt)
        if is_tokens(prompt):
            given = read_prompt(prompt, card.like, None)
            _tell(Beginning.of(given, card, prompt_clips, str(prompt)), prompt, prompt_clips, out)
    named = [*([prompt.stem] if prompt else []), *([label.replace("/", "_")] if label else [])]
    stem = "-".join([*(named or ["video"]), str(seed)])
    names = [folder / f"{stem}-{number:03d}" for number in range(count)]
    kept: dict[int, Path] = {}
    for number, name in enumerate(names if folder.exists() else ()):
        paths = [name.with_name(name.name + ending) for ending in _ENDINGS]
        if skip_existing and all(path.is_file() for path in paths):
            kept[number] = name
            continue
        for path in paths:
            check_target(path, force)
    made: list[dict[str, Any]] = []
    tokens, seconds = 0, 0.0
    if len(kept) < count:
        generator = VideoGenerator(place, device.value, card)
        told = out.say if out.quiet else None
        decoder = tokenizer_of(card.vocabulary, tokenizer, device.value, told)
        if prompt is not None and given is None:
            given = read_prompt(prompt, card.like, decoder)
            _tell(Beginning.of(given, card, prompt_clips, str(prompt)), prompt, prompt_clips, out)
        wish = Wish(label, frames, given, prompt_clips, seed, drawing)
        left = (name for number, name in enumerate(names) if number not in kept)
        with (
            ended_by(out.say, lambda why: _ended(why, len(made), len(kept), count)),
            out.progress("generating", "clips") as on_progress,
        ):
            drawn = generator.generate(count, wish, batch, on_progress, kept)
            _make(folder)
            begun = time.perf_counter()
            for name, found in zip(left, drawn, strict=True):
                seconds += time.perf_counter() - begun
                paths = [name.with_name(name.name + ending) for ending in _ENDINGS]
                # The tokens last, which take no time: an interruption leaves both files or neither.
                decode_video(found, decoder, paths[1], force=force)
                write_tokens(paths[0], found, force)
                tokens += token_cost(found.meta).tokens
                made.append({"tokens": str(paths[0]), "video": str(paths[1]), "frames": found.meta.frames})
                if not as_json:
                    print("\n".join(map(printed, paths)), flush=True)
                begun = time.perf_counter()
    if kept:
        out.say(f"{len(made)} generated, {len(kept)} skipped")
    record = {"class": label, "seed": seed, "model": card.name, "seconds": round(seconds, 3)}
    skipped = [{"tokens": f"{name}.npz", "video": f"{name}.mp4"} for name in kept.values()]
    out.result({**record, "videos": made, "skipped": skipped, "tokens_in_all": tokens}, None)


def _ended(why: str, made: int, kept: int, count: int) -> str:
    """What is written, and how to go on."""
    if not made + kept:
        return f"{why}; nothing was written. To start again: {command()}"
    there = f" ({kept} of them before)" if kept else ""
    return (
        f"{why}: {made + kept} of {counted(count, 'video')} are written{there}. To go on: "
        f"{command('--skip-existing')}"
    )


def _tell(begun: Beginning, prompt: Path, clips: int | None, out: Output) -> None:
    """Say which frames of a prompt have no part in what is made."""
    if begun.left and clips is None:
        out.say(
            f"{prompt} is gone on from after {counted(len(begun.clips), 'whole clip')}; its last "
            f"{counted(begun.left, 'frame')} fill none and are left out."
        )


def _folder(output: str) -> Path:
    """The folder that ``-o`` names.

    Raises:
        WrongUsage: it is a file, or is called like one.
    """
    from sweettok_cli.errors import WrongUsage
    from sweettok_cli.packing.token_file import ENDINGS
    from sweettok_cli.pipeline.plan import VIDEO_KINDS

    folder = Path(output)
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder.parent)
    if not there.is_dir():
        raise WrongUsage(f"{there} is a file; give a folder with -o.")
    like_file = folder.suffix.lower() in {*VIDEO_KINDS, *ENDINGS}
    if like_file and not folder.is_dir() and not options.names_folder(output):
        raise WrongUsage(
            f"{folder} names one file, and each video becomes two; name a folder with -o, or end it "
            "with / to make it one."
        )
    return folder


def _make(folder: Path) -> None:
    """Make a folder to write into."""
    from sweettok_cli.errors import SweettokError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweettokError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another with -o."
        ) from error
