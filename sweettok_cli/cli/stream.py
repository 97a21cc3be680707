"""``sweettok encode --stream``: the tokens of one video on stdout, a line of JSON a clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.output import Output, count, picked

if TYPE_CHECKING:
    from sweettok_cli.models.common.tokenizer import Tokenizer
    from sweettok_cli.pipeline.stream import Clip
    from sweettok_cli.video.inputs import Given


def stream(
    sources: Sequence[Given],
    output: Path | None,
    load: Callable[[], Tokenizer],
    out: Output,
    *,
    force: bool,
    planned: dict[str, Any],
    how: dict[str, Any],
) -> None:
    """Print the tokens of the one source as they come, and write the token file where one is named.

    Args:
        sources: the one.
        output: what ``-o`` says, if it was given.
        load: gives the model.
        out: where to talk.
        force: replace a token file that exists.
        planned: further options of :func:`~sweettok_cli.pipeline.plan.plan_jobs`.
        how: those of :func:`~sweettok_cli.pipeline.stream.stream_video`.

    Raises:
        SweettokError: the source cannot be read, or the file not be written.
    """
    from sweettok_cli.pipeline.batch import prepare
    from sweettok_cli.pipeline.member import TarMember
    from sweettok_cli.pipeline.plan import plan_jobs
    from sweettok_cli.pipeline.stream import stream_video
    from sweettok_cli.video.inputs import check_input
    from sweettok_cli.zoo.token_files import write_tokens

    jobs, refused = plan_jobs(sources, output, **planned)
    for each in refused:
        raise each.error
    (job,) = jobs
    assert not isinstance(job.source, TarMember)  # these are batches
    check_input(job.source)
    if output is not None:
        prepare(job.output, force, make_folder=job.output != output)
    waits: list[float] = []

    def show(clip: Clip) -> None:
        waits.append(clip.latency)
        print(json.dumps(line_of(clip)), flush=True)

    tokenizer = load()
    tokens = stream_video(job.source, tokenizer, show, keep=output is not None, **how)
    least, mean, most = min(waits), sum(waits) / len(waits), max(waits)
    late = f"tokens {mean:.2f} s after the last frame ({least:.2f} to {most:.2f} s)"
    out.say(f"{job.source}: {count(len(waits), 'clip')}, {late}")
    if tokens is not None:
        write_tokens(job.output, tokens, force, model=tokenizer.folder)
        out.say(f"{job.output} is written.")


def line_of(clip: Clip) -> dict[str, Any]:
    """A clip as an object of JSON; its keys are explained in docs/input.md."""
    from sweettok_cli.tokens.ragged import counts_name

    return {
        "clip": clip.number,
        "frames": [clip.start, clip.end],
        "seconds": [float(clip.begins), float(clip.ends)],
        **picked(clip, "tokens", "bits"),
        "latency": round(clip.latency, 4),
        "arrays": {
            name: (array if counts_name(name) in clip.arrays else array[0]).tolist()
            for name, array in clip.arrays.items()
        },
    }
