"""The record of a run, with everything that its figures depend on."""

from __future__ import annotations

from pathlib import Path

from sweettok_cli.recognition.counted import WordCounter
from sweettok_cli.recognition.record import ClipFacts, Record
from sweettok_cli.recognition.run import Measured, Plan
from sweettok_cli.recognition.scores import INTERVAL
from sweettok_cli.runtime import made_by

_DIFFERS = (
    "SweetTok (arXiv 2412.10443) hands the words of tokens to Qwen; its prompt, splits and number of words "
    "were not at hand, and prompt and episodes are this program's own.",
    "The words are those of this model's codebook, whose network is another than the paper's.",
)


def make_record(
    plan: Plan, found: Measured, counter: WordCounter, data: Path, grouping: str, command: str
) -> Record:
    """The record of what :func:`~sweettok_cli.recognition.run.run` has found.

    Args:
        plan: what was asked.
        found: by the run.
        counter: that has read the files.
        data: the folder of classes.
        grouping: how clips were told to be of one group.
        command: what was typed.
    """
    telling = "The paper tells the words that a clip uses most; here those that tell it from the others."
    return Record(
        **made_by(command),
        data=data.resolve().name,
        model=Path(counter.model).name,
        weights_sha256=counter.weights_sha256,
        protocol={
            "queries": f"every clip of the classes, {plan.repeats} episodes each",
            "examples": "drawn without replacement from the clips of each class outside the query's group",
            "groups": grouping,
            "classes": "those with enough clips outside any one group; all of them may be the answer",
            "frames": f"{plan.frames} in the middle of each video; all of token files",
            "layout": "of videos the fixed one; token files as they are",
            "words": f"{plan.choice}, {plan.top} of each part of speech",
            "seed": plan.seed,
            "interval": INTERVAL,
        },
        differs_from_paper=[*([telling] if plan.choice == "telling" else []), *_DIFFERS],
        about=found.about,
        settings=found.settings,
        not_measured=found.not_measured,
        clips=[ClipFacts(file.name, file.label, file.group) for file in found.files],
        episodes=found.episodes,
        failed=[{"name": name, "error": error} for name, error in found.failed],
    )
