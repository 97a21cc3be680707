"""``sweettok recognise``: the class of a clip, from a few examples of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Option

from sweettok_cli.cli import options
from sweettok_cli.cli.columns import fitted
from sweettok_cli.cli.output import Output

if TYPE_CHECKING:
    from sweettok_cli.recognition.answer import Answer
    from sweettok_cli.words.reader import WordReader

LlmOption = Annotated[
    str | None,
    Option(
        "--llm",
        help="Ask a language model: the name or folder of one of transformers, or the URL of an "
        "OpenAI-compatible server.",
        metavar="NAME|DIR|URL",
        show_default="nearest class by tokens",
    ),
]
ServedOption = Annotated[
    str | None,
    Option("--served", help="Which model of a server to ask.", metavar="NAME", show_default="its only one"),
]
WordsOption = Annotated[
    str,
    Option(
        "--words",
        help="Words of a clip that are told to a language model: those that tell it from the others, or "
        "those that it uses most, as in SweetTok's paper.",
        metavar="telling|used",
    ),
]
TopOption = Annotated[int, Option("--top", min=1, help="At most so many of each part of speech.")]
FramesOption = Annotated[
    int, Option("--frames", min=1, help="Encode so many frames in the middle of each video.", metavar="N")
]
ShowPromptOption = Annotated[
    bool, Option("--show-prompt", help="Print what a language model would be asked, and ask nothing.")
]


def recognise(
    file: Annotated[Path, Argument(help="A video, picture or token file.", metavar="FILE", readable=False)],
    shots: Annotated[
        Path,
        Option(help="Examples: one folder a class, of videos or token files.", metavar="DIR", readable=False),
    ],
    llm: LlmOption = None,
    served: ServedOption = None,
    words: WordsOption = "telling",
    top: TopOption = 8,
    show_prompt: ShowPromptOption = False,
    frames: FramesOption = 17,
    model: options.WordModelOption = None,
    keep_going: options.KeepGoingOption = False,
    strict: options.StrictOption = False,
    as_json: options.JsonOption = False,
    quiet: options.QuietOption = False,
) -> None:
    """Tell the class of a clip from a few examples of each class, by the words that tokens name.

    Without --llm it is the class whose examples' words are shared out most alike. With it a language model
    reads the words of the examples and of the clip, and chooses among the names of the folders; the score of
    a class is the logarithm of its probability, of a server's model there is none.

    Of a video the middle is encoded, in the fixed layout; of a token file all is read. To ask about many
    clips, encode the examples first, with --fixed. The clip itself is passed over where it lies among them.

    Examples:

        sweettok recognise clip.mp4 --shots shots/

        sweettok recognise clip.npz --shots tokens/ --llm Qwen/Qwen2.5-3B --json

        sweettok recognise clip.mp4 --shots shots/ --llm http://localhost:8000/v1

        sweettok recognise clip.mp4 --shots shots/ --words used --show-prompt
    """
    options.check_damage(keep_going, strict)
    from sweettok_cli.recognition.language_model import open_language_model
    from sweettok_cli.recognition.one import Question

    output = Output(json=as_json, quiet=quiet)
    choice = word_choice(words)
    reader = word_reader(model, output, keep_going, strict, frames)
    asked = Question.read(file, shots, reader)
    if asked.passed_over:
        output.say(f"{asked.passed_over} is the clip itself and no example.")
    if asked.counter.mixed:
        output.warn(asked.counter.mixed)
    if show_prompt:
        prompt = asked.prompt(choice, top)
        output.result({"prompt": prompt}, None if as_json else prompt)
        return
    if llm is None:
        method, answer = "nearest class by tokens", asked.nearest()
    else:
        asking = open_language_model(llm, served)
        method, answer = asking.name, asking.answer(asked.prompt(choice, top), asked.labels)
    data: dict[str, Any] = {
        "file": str(file),
        "class": answer.label,
        "scores": answer.scores,
        "method": method,
        "model": asked.model,
        "shots": {label: [str(path) for path in paths] for label, paths in asked.examples.items()},
    }
    output.result(data, None if as_json else _text(answer, method))


def word_reader(model: str | None, output: Output, keep_going: bool, strict: bool, frames: int) -> WordReader:
    """Reads words of token files, and of videos in the fixed layout."""
    from sweettok_cli.models.common.budget import Budget
    from sweettok_cli.words.reader import WordReader

    return WordReader(model, output.progress, keep_going, strict, Budget(fixed=True), frames)


def word_choice(given: str) -> Any:
    """What ``--words`` says."""
    from sweettok_cli.recognition.prompt import CHOICES

    if given not in CHOICES:
        raise BadParameter(f"it is one of {', '.join(CHOICES)}, not {given!r}", param_hint="--words")
    return given


def _text(answer: Answer, method: str) -> str:
    if answer.scores is None:
        return f"{answer.label}\n\n{method}"
    ranked = sorted(answer.scores.items(), key=lambda each: -each[1])
    table = fitted(
        {"class": [label for label, _ in ranked], "score": [f"{score:.4f}" for _, score in ranked]},
        spare=(),
        wrapped={"class": 20},
        right=("score",),
    )
    return f"{answer.label}\n\n{table}\n\n{method}; a higher score is better"
