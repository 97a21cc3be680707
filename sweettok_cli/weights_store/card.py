"""A model card for a model that has none: what its ``config.json`` tells, and no more."""

from __future__ import annotations

from sweettok_cli.tokens.schema import FAMILIES
from sweettok_cli.weights_store.folder import ModelHeader

_SAID = {
    "repository": "converted from",
    "path": "file",
    "revision": "commit",
    "sha256": "SHA-256 of that file",
    "code_license": "licence of the code",
    "weights_license": "licence of the weights",
    "paper": "paper",
}


def model_card(header: ModelHeader, repository: str) -> str:
    """The text of a README.md for the Hub.

    Args:
        header: of the model.
        repository: ``OWNER/REPO`` under which it can be pulled.
    """
    license_name = str(header.source.get("weights_license", ""))
    rows = {
        "family": f"{header.family}",
        "SHA-256 of the weights": f"`{header.weights_sha256}`",
        **{title: str(header.source[key]) for key, title in _SAID.items() if header.source.get(key)},
    }
    table = "\n".join(f"| {title} | {value} |" for title, value in rows.items())
    latents = FAMILIES.get(header.family) == ("latents",)
    kind = "Continuous latents" if latents else "Discrete tokens"
    return f"""---
license: {"mit" if license_name.upper() == "MIT" else "other"}
library_name: sweettok
tags: [video-tokenizer, {header.family}]
---

# {header.name}

A video tokenizer of the family {header.family}, stored for sweettok. {kind}.

| | |
|---|---|
{table}

## Use

```
sweettok models pull {repository}
sweettok encode clip.mp4 --model {repository}
```

## Figures

None were measured for this card. `sweettok eval VIDEOS --model {repository}` measures them.
"""
