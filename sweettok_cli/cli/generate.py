"""``sweettok generate``: new videos out of a generator, as token files and videos."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from typer import BadParameter, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.output import Output, printed
from sweettok_cli.runtime import use_one_heap


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
    count: Annotated[int, Option("--count", "-n", min=1, help="How many videos.")] = 1,
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
        Path, Option("--output", "-o", help="Folder to write into; made if it is missing.", metavar="DIR")
    ] = Path("generated"),
    force: options.ForceOption = False,
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
    printed on stdout. A longer video is made clip by clip, each following those before it.

    Examples:

        sweettok generate --model runs/generator-small -n 4 --seed 1 -o out

        sweettok generate --model runs/ucf --class Basketball -n 4 --seed 1 --cfg 2 -o out

        sweettok generate --model runs/generator-small --prompt clip.mp4 --prompt-clips 1 --frames 51 -o out
    """
    if not top_p:
        raise BadParameter("0 leaves nothing to draw from.", param_hint="--top-p")
    use_one_heap()
    from sweettok_cli.files import check_target
    from sweettok_cli.generation.generator import Wish, load_generator
    from sweettok_cli.generation.prompt import is_tokens, read_prompt
    from sweettok_cli.generation.sampling import Drawing
    from sweettok_cli.generation.tokenizer import tokenizer_of
    from sweettok_cli.pipeline.decode import decode_video
    from sweettok_cli.tokens import token_cost
    from sweettok_cli.zoo.token_files import write_tokens

    out = Output(json=as_json, quiet=quiet)
    stem = f"{label or (prompt.stem if prompt else 'video')}-{seed}"
    names = [output / f"{stem}-{number:03d}" for number in range(count)]
    for name in names if output.exists() else ():
        for ending in (".npz", ".mp4"):
            check_target(name.with_name(name.name + ending), force)
    generator = load_generator(model, device.value)
    told = out.say if out.quiet else None
    decoder = tokenizer_of(generator.card.vocabulary, tokenizer, device.value, told)
    given = None
    if prompt is not None:
        given = read_prompt(prompt, generator.card.like, None if is_tokens(prompt) else decoder)
    drawing = Drawing(temperature, top_k, top_p, cfg)
    wish = Wish(label, frames, given, prompt_clips, seed, drawing)
    made: list[dict[str, Any]] = []
    tokens, seconds, begun = 0, 0.0, time.perf_counter()
    _make(output)
    with out.progress("generating", "clips") as on_progress:
        for name, found in zip(names, generator.generate(count, wish, batch, on_progress), strict=True):
            seconds += time.perf_counter() - begun
            paths = [name.with_name(name.name + ending) for ending in (".npz", ".mp4")]
            write_tokens(paths[0], found, force)
            decode_video(found, decoder, paths[1], force=force)
            tokens += token_cost(found.meta).tokens
            made.append({"tokens": str(paths[0]), "video": str(paths[1]), "frames": found.meta.frames})
            if not as_json:
                print("\n".join(map(printed, paths)))
            begun = time.perf_counter()
    record = {"class": label, "seed": seed, "model": generator.card.name, "seconds": round(seconds, 3)}
    out.result({**record, "videos": made, "tokens_in_all": tokens}, None)


def _make(folder: Path) -> None:
    """Make a folder to write into."""
    from sweettok_cli.errors import SweettokError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweettokError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another with -o."
        ) from error
