"""``sweettok train --dry-run``: what a training would be and what it lacks; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.cli.columns import lined_up
from sweettok_cli.cli.interruption import Told
from sweettok_cli.cli.output import FAILED, Output, count
from sweettok_cli.errors import SweettokError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sweettok_cli.training.recipe import Recipe
    from sweettok_cli.training.task import Task


_SHOWN = 3  # unreadable clips that are named


@dataclass(frozen=True)
class Asked:
    """What the command line asks to train."""

    recipe: Recipe
    data: list[Path]
    val: Path | None
    init: str | None
    prior: str | None
    out: Path
    resume: bool


@dataclass
class _Findings:
    """What is found out, one after the other; each failure leaves the rest to be looked at."""

    problems: list[str] = field(default_factory=list)  # for which it would not start
    missing: list[str] = field(default_factory=list)  # which it would do without, or fetch first
    facts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Around what may say why there is no training."""
        try:
            yield
        except SweettokError as error:
            self.problems.append(str(error))


def dry_run(asked: Asked, output: Output) -> None:
    """Print what a training would be.

    Raises:
        Told: it would not start; the code is that of a failure.
    """
    from sweettok_cli.generation.config import is_generator
    from sweettok_cli.runtime import resident_bytes
    from sweettok_cli.training.folder import RunFolder
    from sweettok_cli.training.processes import join
    from sweettok_cli.training.tracker import check_tracker

    found, recipe = _Findings(), asked.recipe
    with found.tried():
        check_tracker(recipe.tracker)
    accelerator, precision = join(recipe.precision, unused_parameters=True)
    before, processes = resident_bytes(), accelerator.num_processes
    with found.tried():
        folder = RunFolder(asked.out, asked.resume, recipe.keep_checkpoints)
        found.facts["changes"] = folder.look(recipe, processes)
        found.facts["begins"] = folder.checkpoints.steps()[-1] if asked.resume else 0
    found.facts["out"] = str(asked.out.absolute())
    found.facts["device"] = f"{processes} x {accelerator.device.type} in {precision}"
    task = _task(asked, found)
    if task is not None:
        with found.tried():
            ranks = accelerator.process_index, processes
            batches = task.batches(asked.data, asked.val, *ranks, output)
            found.facts["data"] = task.found()
            found.facts["steps"] = {
                "steps": recipe.steps,
                "minutes": recipe.minutes or None,
                "epochs": round(batches.passes(recipe.steps), 4),
                "processes": processes,
                "accumulate": recipe.accumulate,
            }
        known = "data" in found.facts
        if known or not is_generator(recipe.model):  # which has as many symbols as its data have
            with found.tried():
                task.build(accelerator.device, output)
                found.facts["parameters"] = _parameters(task)
                output.say("measuring what samples keep for their gradients")
                trained = accelerator.prepare(task.model)
                found.facts["memory"] = _memory(task, trained, accelerator.device, before)
                if known:
                    found.facts["cautions"] = task.cautions()
    if accelerator.is_main_process:
        _tell(found, output)


def _tell(found: _Findings, output: Output) -> None:
    record = {"starts": not found.problems, "problems": found.problems, "missing": found.missing}
    record |= found.facts
    output.result(record, None if output.json else _text(record))
    for problem in found.problems:
        output.error(problem)
    if found.problems:
        raise Told(FAILED)


def _task(asked: Asked, found: _Findings) -> Task | None:
    """The task, as far as what it is made from is on this machine; None if that is too little."""
    from sweettok_cli.cli.trainable import task_of
    from sweettok_cli.generation.config import is_generator

    recipe, names = asked.recipe, {"model": asked.init, "words": asked.prior}
    if not is_generator(recipe.model):
        recipe = replace(recipe, init_samples=0)
    if asked.resume:
        names["model"], recipe = str(asked.out / "model"), replace(recipe, words_from="")
    folders = {what: _here(what, name, found) for what, name in names.items() if name is not None}
    teacher = _here("proxy tokenizer", recipe.teacher, found) if recipe.teacher else None
    if None in folders.values():
        return None
    if recipe.teacher and teacher is None:
        recipe = replace(recipe, teacher="", proxy=0.0)
    recipe = _as_felt(recipe, found)
    with found.tried():
        task = task_of(recipe, folders.get("model"), folders.get("words"), teacher)
        found.facts["task"] = task.title
        if recipe.words_from:
            found.missing.append(
                f"the vectors of {recipe.words_from} are read when it starts, and not before"
            )
            task.recipe = replace(task.recipe, words_from="")
        return task
    return None


def _here(what: str, name: str, found: _Findings) -> Path | None:
    """The folder of a model, or of words, if it is on this machine; what there is to say if it is not."""
    from sweettok_cli.storage.hub import look_up
    from sweettok_cli.zoo.catalogue import named_model
    from sweettok_cli.zoo.local import find_local, find_model
    from sweettok_cli.zoo.pull import megabytes

    if what == "words" and Path(name).exists():
        return Path(name)
    folder = find_local(name)
    with found.tried():
        if folder is not None:
            return folder
        model = named_model(name)
        if model is None:
            return find_model(name)  # says what is wrong with it
        try:
            size = look_up(model.repository, model.file, model.revision).bytes
        except SweettokError as error:
            raise SweettokError(
                f"The {what} {name} is not on this machine, and {str(error).rstrip('.')}; run "
                f"`sweettok models pull {name}` where there is a network."
            ) from error
        much = "" if size is None else f" ({megabytes(size)})"
        found.missing.append(
            f"the {what} {name} is not on this machine and will be fetched first{much}; "
            f"to know more, run: sweettok models pull {name}"
        )
    return None


def _as_felt(recipe: Recipe, found: _Findings) -> Recipe:
    """The recipe, without the perceptual term where its network is not on this machine."""
    from sweettok_cli.metrics.metric import NotMeasured
    from sweettok_cli.training.losses.perceptual import features_to_fetch

    if not recipe.perceptual:
        return recipe
    try:
        lacking = features_to_fetch(recipe)
    except NotMeasured as error:
        lacking = [str(error).rstrip(".")]
        if recipe.without_features == "stop":
            found.problems.append(
                f"{error} Or train without the perceptual term: --set without_features=train."
            )
    found.missing += lacking
    return replace(recipe, perceptual=0.0) if lacking else recipe


def _parameters(task: Task) -> dict[str, Any]:
    from sweettok_cli.training.forecast import parts_of

    parts = parts_of(task)
    return {
        "learned": sum(part.learned for part in parts),
        "frozen": sum(part.frozen for part in parts),
        "parts": [asdict(part) for part in parts],
    }


def _memory(task: Task, trained: nn.Module, device: torch.device, before: int) -> dict[str, Any]:
    from sweettok_cli.training.forecast import METHOD, memory_of

    memory = memory_of(task, trained, device, before)
    return {
        "total": memory.total,
        "largest": memory.largest,
        "device": dict(memory.device),
        "host": dict(memory.host),
        "method": METHOD,
    }


def _text(record: dict[str, Any]) -> str:
    """The record for people."""
    rows: list[tuple[str, str]] = []
    if "task" in record:
        rows.append(("training", f"{record['task']}, on {record['device']}"))
    rows += [("", change) for change in record.get("changes", ())]
    if "parameters" in record:
        counted = record["parameters"]
        rows.append(("parameters", f"{counted['learned']:,} learn, {counted['frozen']:,} do not"))
        rows += [("", _part(part)) for part in counted["parts"]]
    if "memory" in record:
        memory = record["memory"]
        rows.append(("memory", f"about {_size(memory['total'])} a process, with {memory['largest']}"))
        rows.append(("", ", ".join(f"{name} {_size(size)}" for name, size in memory["device"].items())))
        if memory["host"]:
            beside = ", ".join(f"{name} {_size(size)}" for name, size in memory["host"].items())
            rows.append(("", f"beside the device: {beside}"))
        rows.append(("", f"({memory['method']})"))
    if "steps" in record:
        rows.append(("steps", _steps(record["steps"], record.get("begins", 0))))
    if "data" in record:
        data = record["data"]
        rows.append(("data", _windows(data) if "windows" in data else _data(data)))
        rows += [("", f"{name}: {why}") for name, why in list(data.get("unreadable", {}).items())[:_SHOWN]]
    rows.append(("writes to", record["out"]))
    lacking = [*record["missing"], *record.get("cautions", ())]
    rows += [("note" if not place else "", line) for place, line in enumerate(lacking)]
    verdict = "it would start" if record["starts"] else "it would not start"
    return lined_up([*rows, ("verdict", verdict)])


def _part(part: dict[str, Any]) -> str:
    learned, frozen = (
        f"{part[name]:,} {words}" for name, words in (("learned", "learn"), ("frozen", "do not"))
    )
    said = ", ".join(
        text for text, number in ((learned, part["learned"]), (frozen, part["frozen"])) if number
    )
    return f"{part['name']}: {said}"


def _steps(steps: dict[str, Any], done: int) -> str:
    limit = "" if steps["minutes"] is None else f", or {steps['minutes']:g} minutes"
    added = f" of {steps['accumulate']} batches" if steps["accumulate"] > 1 else ""
    before = f", of which {done:,} are done" if done else ""
    return f"{steps['steps']:,}{added}{before}{limit}: {steps['epochs']:,.2f} times through the data"


def _data(data: dict[str, Any]) -> str:
    filmed, pictures = data["clips"] - data["pictures"], data["pictures"]
    found = [count(filmed, "clip")] * bool(filmed) + [count(pictures, "picture")] * bool(pictures)
    length = "" if data["hours"] is None else f", {_hours(data['hours'])}"
    learned = f", {data['learned_too']} of them trained on, too" if data["learned_too"] else ""
    return (
        f"{' and '.join(found)}{length}; {len(data['unreadable'])} cannot be read, "
        f"{data['held_out']} to be looked at{learned}"
    )


def _windows(data: dict[str, Any]) -> str:
    of = f" of {data['classes']} classes" if data["classes"] else ""
    return (
        f"{count(data['videos'], 'video')}{of}, {count(data['clips'], 'clip')}: "
        f"{count(data['windows'], 'window')}, {data['steps_per_epoch']:,.2f} steps; "
        f"{count(data['clips_held_out'], 'clip')} to be looked at; {data['vocabulary']:,} symbols, "
        f"{data['symbols_per_batch']:,} in a batch"
    )


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"


def _size(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
