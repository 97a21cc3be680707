"""What is said of jobs that are done one after the other: each as it ends, and all of them at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import typer

from sweettok_cli.cli.interruption import command, ended_by
from sweettok_cli.cli.output import FAILED, Output, debugging, explain, printed
from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    from sweettok_cli.pipeline.batch import Result


class Progress(Protocol):
    """How far jobs are."""

    jobs: int  # all of them; 0 where that is not known yet
    place: int  # that are over
    again: Sequence[str]  # options with which to go on


def show_results(
    results: Iterator[Result],
    out: Output,
    progress: Progress,
    done: str,
    *,
    batch: bool,
    describe: Callable[[Result], tuple[dict[str, Any], str]],
    total: Callable[[Sequence[dict[str, Any]]], tuple[dict[str, Any], str]] | None = None,
    also: Mapping[str, Any] | None = None,
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
        also: what the data of all say beside, by key.

    Raises:
        typer.Exit: something failed.
        SweettokError: the only job failed.
    """
    summary = Summary(done, keep=out.json or total is not None)
    with ended_by(out.say, lambda why: _ended(why, summary, progress, batch)):
        for result in results:
            _show(result, out, summary, done, batch, describe)
    if batch or summary.counts["skipped"]:
        out.say(str(summary))
    data: dict[str, Any] = {**summary.records, **(also or {})}
    if total is not None:
        data["total"], text = total(summary.records[done])
        if batch and summary.counts[done]:
            out.say(text)
    out.result(data, None)
    if summary.counts["failed"]:
        raise typer.Exit(FAILED)


class Summary:
    """How many jobs ended how, and their records: all of them only where somebody is to be given them."""

    def __init__(self, done: str, keep: bool) -> None:
        self._keep = keep
        self.records: dict[str, list[dict[str, Any]]] = {done: [], "skipped": [], "failed": []}
        self.counts = dict.fromkeys(self.records, 0)

    def add(self, name: str, record: dict[str, Any]) -> None:
        """Count a job that ended so."""
        self.counts[name] += 1
        if self._keep or not self.records[name]:
            self.records[name].append(record)

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts.items())


def _show(
    result: Result,
    out: Output,
    summary: Summary,
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
        summary.add("failed", {"source": str(result.source), "error": reason})
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
        summary.add("skipped", record)
        return
    more, text = describe(result)
    summary.add(done, {**record, **more, "seconds": round(result.seconds, 3)})
    out.say(f"{result.source}: {text}, {result.seconds:.1f} s")
    if not out.json and result.output is not None:
        print(printed(result.output), flush=True)


def _ended(why: str, summary: Summary, progress: Progress, batch: bool) -> str:
    """What is done, and how to go on."""
    if not batch:
        if wrote := next(iter(summary.records.values())):
            return f"{why}; {wrote[0]['output']} is written."
        return f"{why}; nothing was written. To start again: {command()}"
    left = f", {progress.jobs - progress.place} left" if progress.jobs else ""
    return f"{why}: {summary}{left}. To go on: {command(*progress.again)}"
