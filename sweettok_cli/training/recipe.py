"""The recipe: every number of a training run, read from TOML, changed by ``--set``, saved beside the run."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

from sweettok_cli.data.sampler import Sampling
from sweettok_cli.errors import SweettokError

RECIPE_FILE = "recipe.toml"
PRECISIONS = ("auto", "bf16", "fp32")
_SHIPPED = resources.files("sweettok_cli.training") / "recipes"
_AT_LEAST_ONE = (
    *("steps", "frames", "crops_per_clip", "workers", "prefetch", "accumulate"),
    *("window", "log_every", "keep_checkpoints"),
)
_NOT_NEGATIVE = (
    *("seed", "minutes", "hold_out", "final_lr", "warmup", "eps", "weight_decay", "clip_norm"),
    *("init_samples", "l1", "l2", "ssim", "frequency", "quantizer"),
    *("sample_every", "checkpoint_every", "validate_every", "validate_clips"),
)


@dataclass(frozen=True)
class Recipe:
    """What a run does. Each key can stand in a recipe file and be changed with ``--set key=value``."""

    stage: int = 2  # 1 spatial half on pictures, 2 both halves on clips, 3 decoder (encoder, codebook frozen)
    # ``preset``: name of a network configuration; any other key overrides a field of it
    model: dict[str, Any] = field(default_factory=dict)
    seed: int = 0  # seed of the weights, of the order of the clips and of every crop
    steps: int = 100_000  # optimizer steps of the whole run
    minutes: float = 0.0  # above 0, run and learning rate end with steps or minutes, whichever is first

    frames: int = 17  # frames of a training sample; a shorter clip repeats its last frame
    # choices ``[side in pixels, samples a batch and device, weight]``; each step draws one by weight
    crop: list[list[float]] = field(default_factory=lambda: [[64.0, 8.0, 1.0]])
    crops_per_clip: int = 2  # cut from one decoded stretch: fewer is more varied, more is cheaper to decode
    pictures: float = 0.0  # share of the steps that see only first frames: keeps single images good
    flip: bool = True  # mirror half of the samples left to right
    reverse: bool = False  # play half of the samples backwards
    workers: int = 1  # threads that decode ahead of the loop
    prefetch: int = 6  # batches kept ready
    hold_out: int = 4  # clips not trained on, shown in the sample grids, where no validation folder is given

    lr: float = 1e-4  # peak learning rate
    # factors on the rate for parameters whose dotted name starts so, e.g. ``{encoder = 0.3}``
    lr_factors: dict[str, float] = field(default_factory=dict)
    final_lr: float = 1e-5  # learning rate at the end of the cosine
    warmup: int = 1000  # steps of linear warm-up from 0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.99])  # AdamW's two decay rates
    eps: float = 1e-8  # AdamW's epsilon
    weight_decay: float = 1e-4  # on matrices only: never on vectors, embeddings, queries and positions
    clip_norm: float = 1.0  # largest norm of the gradient; 0 leaves it as it is
    accumulate: int = 1  # batches added up to one optimizer step
    ema: float = 0.999  # decay of the averaged, exported weights: min(ema, (1 + s) / (10 + s)) at step s
    precision: str = "auto"  # ``bf16``, ``fp32``, or ``auto``: bf16 where the device computes in it natively
    compile: bool = False  # compile the network with torch.compile before training
    init_samples: int = 1024  # for the network's data-dependent initialisation before step 0; 0 skips it

    l1: float = 0.0  # weight of the mean absolute error of pixels
    l2: float = 1.0  # weight of the mean squared error of pixels
    ssim: float = 0.0  # weight of 1 - SSIM
    frequency: float = 0.0  # weight of the mean absolute error of the two-dimensional spectrum
    quantizer: float = 1.0  # factor on the quantizers' own losses

    window: int = 100  # steps over which use and perplexity of the codebooks are counted
    log_every: int = 10  # steps between two lines of the log
    sample_every: int = 1000  # steps between two sample grids; 0 draws none
    checkpoint_every: int = 1000  # steps between two checkpoints and exports; 0 keeps only the last
    keep_checkpoints: int = 2  # checkpoints kept, newest first
    validate_every: int = 1000  # steps between two measurements on the validation folder; 0 measures none
    validate_clips: int = 24  # clips of the validation folder that are measured

    @property
    def sampling(self) -> Sampling:
        """What the batches of this run are."""
        return Sampling(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Sampling)})

    def as_toml(self) -> str:
        """The recipe as a TOML file that :func:`load_recipe` reads back to an equal one."""
        import tomli_w

        values = {name: value for name, value in dataclasses.asdict(self).items() if name != "model"}
        return tomli_w.dumps({**values, "model": self.model})


def resumed_with(folder: Path, recipe: Recipe) -> list[str]:
    """What differs from the recipe that the run in ``folder`` had so far, a sentence each.

    Raises:
        SweettokError: the network or the stage, which a checkpoint is of.
    """
    path = folder / RECIPE_FILE
    if not path.exists():
        return []
    before = load_recipe(None, str(path))
    for name in ("stage", "model"):
        if getattr(before, name) != getattr(recipe, name):
            raise SweettokError(
                f"The run in {folder} has {name} = {getattr(before, name)}, which --resume cannot change to "
                f"{getattr(recipe, name)}; start a new run with --init {folder / 'model'}."
            )
    changed = [
        f.name for f in dataclasses.fields(Recipe) if getattr(before, f.name) != getattr(recipe, f.name)
    ]
    return [f"{name}: {getattr(before, name)} -> {getattr(recipe, name)}" for name in changed]


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(e.name.removesuffix(".toml") for e in _SHIPPED.iterdir() if e.name.endswith(".toml"))


def load_recipe(stage: int | None, config: str | None, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``--set`` to it.

    Args:
        stage: the stage asked for; must agree with the file's. Without ``config`` it picks
            ``sweettok-small-stage<n>``.
        config: path of a TOML file, or the name of a shipped recipe.
        settings: ``key=value`` pairs, values in TOML's notation (a bare word is a string);
            ``model.KEY=value`` reaches the network's configuration.

    Raises:
        SweettokError: no such recipe, not TOML, an unknown key (near ones are listed), a wrong value.
    """
    name = config if config is not None else f"sweettok-small-stage{stage or 2}"
    text, origin = _read(name)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        how = f"correct it or name one of {_listed()}"
        raise SweettokError(f"{origin} is not a TOML file ({error}); {how}.") from error
    for setting in settings:
        key, mark, value = setting.partition("=")
        if not mark or not key.strip():
            how = "write for example --set lr=3e-4"
            raise SweettokError(f"--set {setting} is not of the form key=value; {how}.")
        _assign(values, key.strip(), _parse(value.strip()))
    stated = values.setdefault("stage", stage or 2)
    if stage is not None and stated != stage:
        raise SweettokError(
            f"{origin} is a recipe for stage {stated}, not {stage}; choose another --config or --stage."
        )
    return recipe_from(values, origin)


def recipe_from(values: dict[str, Any], origin: str) -> Recipe:
    """Build a checked :class:`Recipe` from plain values; ``origin`` names their source in errors."""
    hints = get_type_hints(Recipe)
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=3, cutoff=0.5) or sorted(hints)
            raise SweettokError(f"{origin}: unknown key {key!r}; did you mean {', '.join(near)}?")
        checked[key] = _typed(key, value, str(hints[key]), origin)
    recipe = Recipe(**checked)
    _check(recipe, origin)
    return recipe


def _read(name: str) -> tuple[str, str]:
    path = Path(name)
    if path.suffix == ".toml" or path.exists():
        try:
            return path.read_text(encoding="utf-8"), name
        except (OSError, UnicodeDecodeError) as error:
            raise SweettokError(
                f"Cannot read the recipe {name} ({error}); name a file or one of {_listed()}."
            ) from error
    if name not in recipe_names():
        raise SweettokError(f"There is no recipe {name!r}; name a .toml file or one of {_listed()}.")
    return (_SHIPPED / f"{name}.toml").read_text(encoding="utf-8"), name


def _listed() -> str:
    return ", ".join(recipe_names())


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    group, dot, inner = key.partition(".")
    if not dot:
        values[key] = value
    elif group in ("model", "lr_factors"):
        values.setdefault(group, {})[inner] = value
    else:
        how = f"write {inner} alone"
        raise SweettokError(f"--set {key}: only model and lr_factors have keys of their own; {how}.")


def _typed(key: str, value: Any, hint: str, origin: str) -> Any:
    """``value`` as the kind the field wants; whole numbers serve as fractions, nothing else is converted."""
    if hint == str(type(value)):
        return value
    if hint == str(float) and type(value) is int:
        return float(value)
    if hint.startswith("dict") and isinstance(value, dict):
        inner = str(float) if hint.endswith(", float]") else ""
        return {k: _typed(f"{key}.{k}", v, inner, origin) for k, v in value.items()} if inner else value
    if hint.startswith("list") and isinstance(value, list):
        inner = hint[len("list[") : -1]
        return [_typed(key, one, str(float) if inner == "float" else inner, origin) for one in value]
    kind = hint.removeprefix("<class '").removesuffix("'>")
    raise SweettokError(f"{origin}: {key} = {value!r} is not of type {kind}; give a value of that type.")


def _check(recipe: Recipe, origin: str) -> None:
    for names, least in ((_AT_LEAST_ONE, 1), (_NOT_NEGATIVE, 0)):
        for name in names:
            if getattr(recipe, name) < least:
                raise SweettokError(f"{origin}: {name} must be at least {least}.")
    crops = bool(recipe.crop) and all(
        len(crop) == 3 and min(crop[:2]) >= 1 and crop[0] % 1 == crop[1] % 1 == 0 and crop[2] > 0
        for crop in recipe.crop
    )
    betas = len(recipe.betas) == 2 and all(0 <= b < 1 for b in recipe.betas)
    terms = recipe.l1 + recipe.l2 + recipe.ssim + recipe.frequency
    rules = {
        "stage must be 1, 2 or 3": recipe.stage in (1, 2, 3),
        "crop must list [side, samples, weight], for example [[64, 8, 1.0]]": crops,
        "betas must be two numbers in [0, 1)": betas,
        "ema must lie in [0, 1)": 0 <= recipe.ema < 1,
        "pictures must lie in [0, 1]": 0 <= recipe.pictures <= 1,
        "lr must be above 0": recipe.lr > 0,
        "lr_factors must be above 0": all(factor > 0 for factor in recipe.lr_factors.values()),
        f"precision must be one of {', '.join(PRECISIONS)}": recipe.precision in PRECISIONS,
        "one of l1, l2, ssim and frequency must be above 0": terms > 0,
    }
    for rule, holds in rules.items():
        if not holds:
            raise SweettokError(f"{origin}: {rule}.")
