"""Few-shot recognition on real clips, none of a query's person, place or scene among its examples.

    python benchmarks/recognition.py UCF-101 TRAIN
    python benchmarks/recognition.py UCF-101 TRAIN --model MODEL

ucf101  a folder of UCF-101's classes; groups are those of the files' names
fight   surveillance clips that clips.csv in TRAIN labels fight or noFight, out of its shards. Several are of
        one scene, also across the two classes: benchmarks/fight_scenes.csv says which, told by eye from a
        picture of each clip and from the times that some of them show; views of one event count as one scene

Each is what `sweettok eval recognition --data DIR --json` measures, without its episodes, which the seed
draws again. Prints its table, writes ``benchmarks/results/recognition.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from machine import RESULTS

from sweettok_cli.errors import SweettokError

SCENES = Path(__file__).resolve().parent / "fight_scenes.csv"
SHOTS = {"ucf101": "1,2,3,5", "fight": "1,3,5"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ucf101", type=Path, help="folder of UCF-101's classes")
    parser.add_argument("train", type=Path, help="folder of clips.csv and its shards")
    parser.add_argument("--model", default="sweettok-small", help="name or folder")
    parser.add_argument("--output", type=Path, default=RESULTS / "recognition.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        try:
            fight = lay_out(options.train, Path(place) / "fight")
            records = {
                "ucf101": measure(options.ucf101, "ucf101", options.model),
                "fight": measure(fight, "fight", options.model, "--groups", str(SCENES)),
            }
        except SweettokError as error:
            print(error, file=sys.stderr)
            return 1
    write(records, options.output)
    return 0


def lay_out(train: Path, folder: Path) -> Path:
    """The labelled clips by class, under the names that they have in their repository."""
    try:
        with (train / "clips.csv").open(newline="") as stream:
            rows = {row["file"]: row for row in csv.DictReader(stream)}
    except OSError as error:
        raise SweettokError(f"{train} has no clips.csv; give the folder of it and its shards.") from error
    for shard in sorted(train.glob("*.tar")):
        with tarfile.open(shard) as clips:
            for clip in clips:
                row = rows.get(Path(clip.name).name)
                held = clips.extractfile(clip)
                if row is None or held is None or row["label"] not in ("fight", "noFight"):
                    continue
                (folder / row["label"]).mkdir(parents=True, exist_ok=True)
                (folder / row["label"] / Path(row["source_path"]).name).write_bytes(held.read())
    return folder


def measure(data: Path, name: str, model: str, *more: str) -> dict[str, Any]:
    """The record of the command; what it says goes to stderr."""
    given = ["eval", "recognition", "--data", str(data), "--shots", SHOTS[name], "--model", model, *more]
    ran = subprocess.run([sys.executable, "-m", "sweettok_cli", *given, "--json"], stdout=subprocess.PIPE)
    if ran.returncode:
        raise SweettokError(f"{name} could not be measured; see above.")
    return json.loads(ran.stdout)


def write(records: dict[str, dict[str, Any]], output: Path) -> None:
    """Keep the records without their episodes and the places of files on this machine."""
    kept = {
        name: {key: value for key, value in record.items() if key not in ("episodes", "command")}
        for name, record in records.items()
    }
    output.write_text(json.dumps(kept, indent=1) + "\n")
    for name, record in kept.items():
        for setting in record["settings"]:
            told = ", ".join(
                "{} {:.1f} % [{:.1f}, {:.1f}]".format(
                    each["name"], *(100 * each["accuracy"][key] for key in ("value", "low", "high"))
                )
                for each in setting["methods"]
            )
            print(f"{name}, {setting['shots']} shots of {len(setting['labels'])} classes, "
                  f"chance {100 * setting['chance']:.1f} %: {told}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
