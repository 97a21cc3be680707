"""Model cards: what is known of a model as text for people and as metadata for the Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweettok_cli.errors import SweettokError
from sweettok_cli.models.registry import read_spec
from sweettok_cli.storage.model_folder import ModelFolder, ModelHeader
from sweettok_cli.zoo.catalogue import CATALOGUE

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

#: Of the Hub's tasks: a video goes in, and comes back.
TASK = "video-to-video"
LIBRARY = "sweettok"

_SAID = {
    "repository": "converted from",
    "path": "file",
    "revision": "commit",
    "sha256": "SHA-256 of that file",
    "code_license": "licence of the code",
    "weights_license": "licence of the weights",
}


def model_card(model: ModelFolder, repository: str, record: Mapping[str, Any] | None = None) -> str:
    """The text of a README.md for the Hub.

    Args:
        model: that is described.
        repository: under which it can be pulled, OWNER/REPO.
        record: of an evaluation, from :func:`read_record`.

    Raises:
        SweettokError: the record is of other weights.
    """
    from huggingface_hub import ModelCard, ModelCardData

    header, paper = model.header, paper_of(model.header)
    rows = {
        "family": _cell(header.family),
        "SHA-256 of the weights": f"`{header.weights_sha256}`",
        **{title: _cell(str(header.source[key])) for key, title in _SAID.items() if header.source.get(key)},
        **({"paper": _cell(paper)} if paper else {}),
    }
    said = str(header.source.get("weights_license", ""))
    mit = said.upper() == "MIT"
    results = [] if record is None else results_of(record, header)
    data = ModelCardData(
        license="mit" if mit else "other",
        license_name=None if mit else "see-card",
        library_name=LIBRARY,
        pipeline_tag=TASK,
        tags=tags_of(header),
        model_name=header.name if results else None,
        eval_results=results or None,
    )
    kind = "Discrete tokens" if read_spec(model).codebooks else "Continuous latents"
    table = "\n".join(f"| {title} | {value} |" for title, value in rows.items())
    figures = [f"| {each.metric_name} | {each.metric_value:g} |" for each in results]
    if record is not None:
        data_set = record["data"]
        figures = [
            f"{data_set['clips']} clips, {data_set['frames']} frames of {data_set['name']}, by "
            f"`{record['command']}`:\n\n| | |\n|---|---|",
            *figures,
        ]
    measured = "\n".join(figures) or (
        f"None were measured for this card. `sweettok eval VIDEOS --model {repository}` measures them."
    )
    return str(
        ModelCard(f"""---
{data.to_yaml()}
---

# {_cell(header.name)}

A video tokenizer of the family {header.family}, stored for sweettok. {kind}.

| | |
|---|---|
{table}

## Use

```
sweettok models pull {repository}
sweettok encode clip.mp4 --model {repository}
```

```python
import sweettok

tokenizer = sweettok.Tokenizer.from_pretrained("{repository}")
video = tokenizer.decode(tokenizer.encode("clip.mp4"))
```

## Figures

{measured}
""")
    )


def card_with_results(card: str, record: Mapping[str, Any], header: ModelHeader) -> str:
    """A card of the user's own, its metadata completed by what a record says; the text stays as it is.

    Raises:
        SweettokError: the record is of other weights, or the card's metadata cannot be read.
    """
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    results = results_of(record, header)
    try:
        whole = ModelCard(card if card.startswith("---") else f"---\n{{}}\n---\n\n{card}", True)
    except (ValueError, YAMLError) as error:
        raise SweettokError(
            f"The metadata of the card in {header.folder} cannot be read ({' '.join(str(error).split())}); "
            "mend them."
        ) from error
    data: Any = whole.data
    data.model_name, data.eval_results = header.name, results
    return str(whole)


def read_record(path: Path | str) -> dict[str, Any]:
    """The record that ``sweettok eval --json`` wrote.

    Raises:
        SweettokError: it cannot be read, or is something else.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SweettokError(
            f"Cannot read {path} ({error}); give what `sweettok eval --json` wrote."
        ) from error
    if not isinstance(record, dict) or record.get("format") != "sweettok-eval":
        raise SweettokError(f"{path} is no record of an evaluation; give what `sweettok eval --json` wrote.")
    return record


def results_of(record: Mapping[str, Any], header: ModelHeader) -> list[EvalResult]:
    """A model's figures in a record, as the Hub's metadata have them.

    Raises:
        SweettokError: the record is of other weights, or damaged.
    """
    from huggingface_hub import EvalResult

    try:
        data = record["data"]
        methods = {method["weights_sha256"]: method for method in record["contenders"]}
        if header.weights_sha256 not in methods:
            names = ", ".join(method["name"] for method in methods.values())
            raise SweettokError(
                f"The record measures {names}, and no model with the weights of {header.name}; measure it "
                f"with `sweettok eval VIDEOS --model {header.folder}`."
            )
        return [
            EvalResult(
                task_type=TASK,
                task_name="video reconstruction",
                dataset_type=str(data["name"]),
                dataset_name=f"{data['name']}, {data['clips']} clips",
                dataset_split=data["split"],
                metric_type=name,
                metric_name=f"{name}, {figure['unit']}" if figure["unit"] else name,
                metric_value=round(figure["value"], 4),
            )
            for name, figure in methods[header.weights_sha256]["summary"].items()
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise SweettokError("The record of the evaluation is damaged; make it anew.") from error


def paper_of(header: ModelHeader) -> str:
    """Address of the paper that describes the network, or nothing."""
    published = (model.paper for model in CATALOGUE if model.family == header.family)
    return str(header.source.get("paper") or next(published, ""))


def tags_of(header: ModelHeader) -> list[str]:
    """The Hub's tags: the family, and the paper as ``arxiv:...``."""
    paper = re.search(r"arxiv\.org/abs/(\d{4}\.\d{4,5})", paper_of(header))
    return ["video-tokenizer", header.family, *([f"arxiv:{paper[1]}"] if paper else [])]


def _cell(text: str) -> str:
    """A text that neither ends a line nor a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
