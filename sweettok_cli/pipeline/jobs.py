"""Which file is made from which: files and folders given on the command line to sources and outputs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sweettok_cli.errors import SweettokError
from sweettok_cli.video.source import MEDIA, find_files


@dataclass(frozen=True)
class Job:
    """One source and the file to make of it."""

    source: Path
    output: Path


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        jobs: in order of the command line, folders sorted by name.
        batch: more than one file, or a folder: one that fails does not stop the others.
        failed: sources that cannot even be tried, with the reason.
    """

    jobs: list[Job] = field(default_factory=list)
    batch: bool = False
    failed: list[tuple[Path, str]] = field(default_factory=list)


def plan_jobs(inputs: list[Path], output: Path | None, to_folder: bool, suffix: str = ".npz") -> Plan:
    """Lay out where the output of every input goes.

    One file becomes a file of the same name with ``suffix`` beside it, or ``output``, or a file in the folder
    ``output``. For several inputs or a folder, ``output`` is a folder that keeps the structure of the inputs.
    Two sources that would make the same file (``a.mp4``, ``a.png``) both keep their ending: ``a.mp4.npz``.

    Args:
        inputs: files and folders, at least one.
        output: as given with ``-o``.
        to_folder: ``output`` was written with a trailing slash: it names a folder even if there is none.
        suffix: of the outputs.

    Raises:
        SweettokError: ``output`` has the wrong kind, or nothing is left to do.
    """
    plan = Plan(batch=len(inputs) > 1 or inputs[0].is_dir())
    if not plan.batch:
        plan.jobs.append(Job(inputs[0], _single(inputs[0], output, to_folder, suffix)))
        return plan
    if output is not None and output.exists() and not output.is_dir():
        raise SweettokError(f"{output} is a file; give a folder with -o for the outputs of several inputs.")
    placed: list[tuple[Path, Path]] = []  # a source, and where its output goes but for the ending
    for given in inputs:
        if given.is_dir():
            # As cp -r does: the folder's own name appears only where there are several.
            inside = Path(given.resolve().name) if len(inputs) > 1 else Path()
            for source in _media_in(given, plan):
                relative = source.relative_to(given)
                placed.append((source, source if output is None else output / inside / relative))
        elif given.exists():
            placed.append((given, given if output is None else output / given.name))
        else:
            plan.failed.append((given, f"{given} does not exist; check the name."))
    _name(plan, placed, suffix)
    if not plan.jobs and not plan.failed:
        raise SweettokError(f"{inputs[0]} holds no video or image; name files with other endings one by one.")
    return plan


def _single(source: Path, output: Path | None, to_folder: bool, suffix: str) -> Path:
    if output is None:
        return source.with_suffix(suffix)
    if to_folder or output.is_dir():
        return output / source.with_suffix(suffix).name
    if output.suffix.lower() != suffix:
        raise SweettokError(
            f"{output} does not end in {suffix}; name it so, or end it with / to make it a folder."
        )
    return output


def _media_in(folder: Path, plan: Plan) -> list[Path]:
    """What can be encoded; folders that cannot be read are noted."""

    def note(error: OSError) -> None:
        name = Path(error.filename or folder)
        plan.failed.append((name, f"{name} cannot be read ({error.strerror}); check its permissions."))

    return find_files(folder, MEDIA, note)


def _name(plan: Plan, placed: list[tuple[Path, Path]], suffix: str) -> None:
    placed = list(dict.fromkeys(placed))
    short = Counter(place.with_suffix(suffix) for _, place in placed)
    taken: dict[Path, Path] = {}
    for source, place in placed:
        output = place.with_suffix(suffix)
        if short[output] > 1:
            output = place.with_name(place.name + suffix)
        if output in taken:
            problem = f"{source} would become {output} as {taken[output]} does; give another folder with -o."
            plan.failed.append((source, problem))
            continue
        taken[output] = source
        plan.jobs.append(Job(source, output))
