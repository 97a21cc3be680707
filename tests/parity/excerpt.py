"""Cuts a small excerpt, in the same format, out of a full set of golden tensors.

    python tests/parity/excerpt.py FULL_SET tests/golden

Positions of sampled outputs are the first ones of the full sample, so names and salt still say where they
lie.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

# Outputs to keep, by name or by a beginning that ends in a sign, and how many elements of the sampled ones.
EXCERPT: dict[str, dict[str, int]] = {
    "sweettok_compact": {
        "tap:": 512,
        "codebook_": 0,
        "pre_vq_": 2048,
        "zq_": 2048,
        "spatial_": 0,
        "temporal_": 0,
        "indices_official": 0,
        "logits_argmax": 0,
        "logits_gap": 0,
        "logits": 16384,
        "stage2_recon": 16384,
    },
    "sweettok_grad": {"grad:": 1024},
    "gpt": {"logits": 16384, "cached_logits": 4096},
    "losses": {"disc3d:": 1024, "codebook_ema:": 0},
    "vidtok_disc": {"d2:": 0, "d3:": 0},
    "vidtok_fsq_causal_488_32768": {
        "tap:": 512,
        "img:": 0,
        "v:h": 0,
        "v:z": 0,
        "v:indices": 0,
        "v:gap": 0,
    },
    "vidtok_kl_causal_488_4chn_v1_1": {"t14:": 4096, "tile33:": 16384, "tileov33:": 16384},
    "vidtok_kl_noncausal_488_4chn": {"tap:": 512, "v:h": 0, "v:z": 0},
    "omni": {
        "tap:": 512,
        "image:indices": 0,
        "image:gap": 0,
        "image:h": 0,
        "image:recon": 8192,
        "video:indices": 0,
        "video:gap": 0,
        "video:recon": 16384,
        "video:recon_from_random_idx": 8192,
        "small:indices": 0,
        "small:encoder": 8192,
    },
}


def cut(source: Path, target: Path, wanted: dict[str, int]) -> None:
    manifest = json.loads((source / "manifest.json").read_text())
    data = load_file(source / "data.safetensors")
    outputs, tensors = {}, {}
    for name, spec in manifest["outputs"].items():
        limit = next(
            (n for key, n in wanted.items() if name == key or (key[-1] in ":_" and name.startswith(key))),
            None,
        )
        if limit is None:
            continue
        tensors[name] = data[name]
        if spec["stored"] == "sample":
            tensors[name] = data[name][:limit].clone()
            spec["sample_n"] = tensors[name].numel()
        outputs[name] = {key: spec[key] for key in ("shape", "dtype", "stored", "sample_n") if key in spec}
    manifest["outputs"] = outputs
    manifest.pop("config", None)
    manifest.pop("data_sha256", None)
    target.mkdir(parents=True, exist_ok=True)
    save_file(tensors, target / "data.safetensors")
    (target / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    for extra in ("keys.json", "priors.json"):
        if (source / extra).is_file():
            (target / extra).write_text((source / extra).read_text())


def main() -> None:
    full, golden = map(Path, sys.argv[1:])
    for case, wanted in EXCERPT.items():
        cut(full / case, golden / case, wanted)


if __name__ == "__main__":
    main()
