"""What is said of jobs that are done one after the other: each as it ends, and all of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, debugging, explain, printed
from sweettok_cli.cli.progress import Overall
from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    from sweettok_cli.pipeline.batch import Result


def show_results(
    results: Iterator[Result],
    out: Output,
    progress: Overall,
    done: str,
    *,
    batch: bool,
    describe: Callable[[Result], tuple[dict[str, Any], str]],
    total: Callable[[Sequence[dict[str, Any]]], tuple[dict[str, Any], str]] | None = None,
) -> None:
    """Say what became of each job, print the paths written, and end with a summary.

    Args:
        results: of the jobs, as they come.
        out: where to say it.
        progress: of these jobs.
        done: what was done to those that went well, such as ``encoded``; the key of their records.
        batch: whether there may be many: one that fails is listed; the only one is raised.
        describe: the record of a job that went well, and what to say of it.
        total: the sum of those records, where there is one, and what to say of it.

    Raises:
        typer.Exit: something failed.
        SweettokError: the only job failed.
    """
    summary: dict[str, list[dict[str, Any]]] = {done: [], "skipped": [], "failed": []}
    with ended_by(out.say, lambda why: _ended(why, summary, progress, batch)):
        for result in results:
            _show(result, out, summary, done, batch, describe)
    if batch or summary["skipped"]:
        out.say(_counts(summary))
    data: dict[str, Any] = dict(summary)
    if total is not None:
        data["total"], text = total(summary[done])
        if batch and summary[done]:
            out.say(text)
    out.result(data, None)
    if summary["failed"]:
        raise typer.Exit(FAILED)


def _show(
    result: Result,
    out: Output,
    summary: dict[str, list[dict[str, Any]]],
    done: str,
    batch: bool,
    describe: Callable[[Result], tuple[dict[str, Any], str]],
) -> None:
    if result.error is not None:
        refused = result.status == "refused"
        if not batch or (debugging() and not refused):
            raise result.error
        reason = str(result.error) if refused else explain(result.error)
        if not isinstance(result.error, SweettokError):
            reason = f"{result.source}: {reason}"
        summary["failed"].append({"source": str(result.source), "error": reason})
        out.error(reason)
        return
    record: dict[str, Any] = {"source": str(result.source), "output": str(result.output)}
    if result.status == "skipped":
        if result.busy:
            reason = f"{result.output} is being made by another program"
            if not batch:
                raise SweettokError(f"{reason}; wait for it, or write elsewhere with -o.")
            out.say(f"{reason}; skipped.")
            record["busy"] = True
        summary["skipped"].append(record)
        return
    more, text = describe(result)
    summary[done].append({**record, **more, "seconds": round(result.seconds, 3)})
    out.say(f"{result.source}: {text}, {result.seconds:.1f} s")
    if not out.json and result.output is not None:
        print(printed(result.output), flush=True)


def _counts(summary: dict[str, list[dict[str, Any]]]) -> str:
    return ", ".join(f"{len(records)} {name}" for name, records in summary.items())


def _ended(why: str, summary: dict[str, list[dict[str, Any]]], progress: Overall, batch: bool) -> str:
    """What is done, and how to go on."""
    if not batch:
        if wrote := next(iter(summary.values())):
            return f"{why}; {wrote[0]['output']} is written."
        return f"{why}; nothing was written. To start again: {command()}"
    left = f", {progress.jobs - progress.place} left" if progress.jobs else ""
    return f"{why}: {_counts(summary)}{left}. To go on: {command('--skip-existing')}"
