"""The recipe: every number of a training run, and what it must hold to."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, cast

from sweettok_cli.data.sampler import Sampling
from sweettok_cli.errors import SweettokError
from sweettok_cli.training.recipe_key import Key
from sweettok_cli.training.recipe_key import key as _key
from sweettok_cli.training.recipe_values import brief

PRECISIONS = ("auto", "bf16", "fp32")
PERCEPTUAL_NETWORKS = ("convnext-small", "lpips-vgg", "lpips-alex")
WITHOUT_FEATURES = ("stop", "train")
SEEN = ("clips", "frames")
OPTIMIZERS = ("adamw", "muon")
TRACKERS = ("none", "tensorboard", "trackio", "wandb")
LOADERS = ("threads", "processes")
_MANY = 1_000_000_000
_WEIGHT = (0, 1e6)


@dataclass(frozen=True)
class Recipe:
    """What a run does. Each key can stand in a recipe file and be changed with ``--set key=value``."""

    stage: int = _key(
        2,
        "SweetTok: 1 spatial half, 2 both halves, 3 decoder, 4 levels of detail; VidTok: 1 all, 2 decoder; "
        "OmniTokenizer: 1 pictures, 2 clips and pictures, 3 continuous latents",
        (1, 4),
    )
    model: dict[str, Any] = _key(  # noqa: RUF009
        {},
        "the network: model.preset names one (sweettok-small, compact, vidtok-small, a published VidTok, "
        "omnitokenizer, omnitokenizer-small, generator-small, videogpt), any other key changes it",
    )
    seed: int = _key(0, "of the weights, of the order of the clips and of every crop", (0, 2 * _MANY))
    steps: int = _key(100_000, "optimizer steps of the whole run", (1, _MANY))
    minutes: float = _key(
        0.0, "above 0: run and learning rate end with steps or minutes, whichever is first", (0, 1e7)
    )

    frames: int = _key(17, "frames of a sample; a shorter clip repeats its last one", (1, 1025))
    fps: float = _key(
        0.0, "frames a second of a sample, taken by time stamps; 0: every frame as it is", (0, 1000)
    )
    crop: list[list[float]] = _key(  # noqa: RUF009
        [[64.0, 8.0, 1.0]],
        "choices [side in pixels, samples a batch and device, weight]; each step draws one by weight",
        (0, 65536),
    )
    batch_size: int = _key(
        0,
        "samples a batch and device of the largest choice in crop, the others in proportion; 0: as crop says",
        (0, 65536),
    )
    crops_per_clip: int = _key(
        2, "cut from one decoded stretch: fewer is more varied, more is cheaper to decode", (1, 65536)
    )
    resize: list[float] = _key(  # noqa: RUF009
        [],
        "[least, most]: frames are first scaled down to a short side between so many sides of the sample, "
        "drawn for each clip; []: samples are cut out of frames as they are",
        (1, 65536),
    )
    centre: bool = _key(False, "cut samples out of the middle of the frames, not anywhere")
    pictures: float = _key(
        0.0, "share of the steps that see only first frames: keeps single images good", (0, 1)
    )
    alternate: int = _key(
        0, "above 0: every second batch holds single pictures, so many for each clip of the others", (0, 256)
    )
    synthetic: float = _key(
        0.0, "share of the samples that are drawn, not filmed: flat fields, gradients, text", (0, 1)
    )
    flip: bool = _key(True, "mirror half of the samples left to right")
    reverse: bool = _key(False, "play half of the samples backwards")
    workers: int = _key(1, "threads or processes that make batches ahead of the loop", (1, 256))
    loader: str = _key("threads", "what these are: threads or processes; batches are the same")
    prefetch: int = _key(6, "batches kept ready", (1, 1024))
    hold_out: int = _key(
        4,
        "clips shown in the sample sheets, where --val is not given; trained on, too, if there are fewer "
        "than ten times as many",
        (0, 1000),
    )
    skip_unreadable: float = _key(
        0.1,
        "share of the clips that may be unreadable, one always; 1 opens none before the first step",
        (0, 1),
    )

    optimizer: str = _key(
        "adamw",
        "adamw; or muon for the matrices in transformer layers and AdamW for all else",
    )
    lr: float = _key(1e-4, "peak learning rate", (0, 10))
    lr_factors: dict[str, float] = _key(  # noqa: RUF009
        {}, "factors on the rate of parameters whose dotted name starts so, e.g. lr_factors.encoder", (0, 1e4)
    )
    final_lr: float = _key(1e-5, "learning rate at the end of the cosine", (0, 10))
    warmup: int = _key(1000, "steps of linear warm-up from 0", (0, _MANY))
    betas: list[float] = _key(  # noqa: RUF009
        [0.9, 0.99], "AdamW's two decay rates", (0, 1)
    )
    eps: float = _key(1e-8, "AdamW's epsilon", (0, 1))
    weight_decay: float = _key(
        1e-4, "on matrices only: never on vectors, embeddings, queries and positions", (0, 10)
    )
    clip_norm: float = _key(1.0, "largest norm of the gradient; 0 leaves it as it is", _WEIGHT)
    accumulate: int = _key(1, "batches of one size added up to one optimizer step", (1, 65536))
    ema: float = _key(
        0.999, "decay of the averaged, exported weights: min(ema, (1 + s) / (10 + s)) at step s", (0, 1)
    )
    precision: str = _key("auto", "bf16, fp32, or auto: bf16 where the device computes in it natively")
    compile: bool = _key(False, "compile the network with torch.compile before training")
    gradient_checkpointing: bool = _key(
        False, "compute what is inside blocks again for their gradients: takes less memory and more time"
    )
    init_samples: int = _key(
        1024, "for a new network's data-dependent start before step 0; 0 skips it", (0, 100_000)
    )
    word_steps: int = _key(200, "steps that lay out the words among those samples", (0, _MANY))
    lay_out_words: bool = _key(
        False, "lay out the words of a model with --init anew, too, each with an offset of its own"
    )

    levels: int = _key(
        0, "levels of detail that a model with --init gets which has none: a cell's most tokens", (0, 16)
    )
    prices: list[float] = _key(  # noqa: RUF009
        [0.25, 8.0],
        "[least, most]: with levels, each bit of a sample's tokens must remove so many times the error that "
        "is usual for that very sample, drawn for each evenly in the logarithm",
        (1e-3, 1e3),
    )
    uniform: float = _key(
        0.15, "with levels: share of the samples whose columns all have a token, and cells none", (0, 1)
    )

    teacher: str = _key("", "proxy tokenizer: an OmniTokenizer's name or folder, as --teacher")
    proxy: float = _key(
        0.0, "share of the steps, the first, that learn the teacher's codes, and not pixels", (0, 1)
    )
    l1: float = _key(0.0, "weight of the mean absolute error of pixels", _WEIGHT)
    l2: float = _key(1.0, "weight of the mean squared error of pixels", _WEIGHT)
    log_l2: float = _key(
        0.0,
        "weight of log(mean squared error + log_floor) of a frame: decibels, easy and hard frames alike",
        _WEIGHT,
    )
    log_floor: float = _key(1e-4, "error below which a frame gains little: 1e-4 is 40 dB", (1e-12, 1.0))
    ssim: float = _key(0.0, "weight of 1 - SSIM", _WEIGHT)
    frequency: float = _key(0.0, "weight of the mean absolute error of the two-dimensional spectrum", _WEIGHT)
    quantizer: float = _key(
        1.0, "factor on the quantizers' own losses; on the divergence of latents where there is none", _WEIGHT
    )
    neighbours: float = _key(
        0.0,
        "weight beside the quantizers' losses: words of near meaning lie near each other",
        _WEIGHT,
    )
    restart: float = _key(
        0.0, "OmniTokenizer: codes whose moving count is below this are drawn anew; 0: none", _WEIGHT
    )
    perceptual: float = _key(0.0, "weight of a perceptual distance, of one random frame a sample", _WEIGHT)
    perceptual_every: bool = _key(False, "of every frame instead")
    perceptual_network: str = _key("convnext-small", "what feels it: convnext-small, lpips-vgg, lpips-alex")
    features: str = _key("", "folder with that network's files, beside where they are usually kept")
    without_features: str = _key("stop", "where those files cannot be had: stop, or train without the term")
    adversarial: float = _key(0.0, "weight of what a discriminator thinks of clips; 0 trains none", _WEIGHT)
    feature_matching: float = _key(0.0, "weight of how far its features are from a real clip's", _WEIGHT)
    discriminator: float = _key(1.0, "weight of its own hinge loss", _WEIGHT)
    lecam: float = _key(0.0, "weight of its LeCam regularisation", _WEIGHT)
    discriminator_sees: str = _key("clips", "what it judges: clips, or single frames")
    discriminator_width: int = _key(64, "channels of its first stage, an eighth of its widest", (1, 512))
    discriminator_start: int = _key(0, "step from which on there is a discriminator", (0, _MANY))
    discriminator_warmup: int = _key(0, "steps of its own warm-up; 0: as many as warmup says", (0, _MANY))
    discriminator_rest: float = _key(0.0, "it rests in steps in which its own loss is below this", _WEIGHT)

    classes: bool = _key(False, "generators: the folder in which a token file lies is its class")
    label_dropout: float = _key(
        0.1,
        "generators: share of the windows whose class is not said, for guidance without a classifier",
        (0, 1),
    )
    label_smoothing: float = _key(
        0.0,
        "generators: share of a target's weight that all that may stand there have in equal parts",
        (0, 0.99),
    )

    words_from: str = _key(
        "",
        "generators: language model whose vectors of the words start those of the symbols; none: random",
    )

    window: int = _key(100, "steps over which use and perplexity of the codebooks are counted", (1, 10_000))
    log_every: int = _key(10, "steps between two lines of the log", (1, _MANY))
    sample_every: int = _key(1000, "steps between two sample sheets and videos; 0 draws none", (0, _MANY))
    checkpoint_every: int = _key(
        1000, "steps between two checkpoints and exports; 0 keeps only the last", (0, _MANY)
    )
    keep_checkpoints: int = _key(2, "checkpoints kept, newest first", (1, 10_000))
    validate_every: int = _key(
        1000, "steps between two measurements on the clips of --val; 0 measures none", (0, _MANY)
    )
    validate_clips: int = _key(24, "clips of --val that are measured", (1, 100_000))
    tracker: str = _key("none", f"where figures and samples go beside the log: {', '.join(TRACKERS)}")

    @property
    def crops(self) -> list[list[float]]:
        """``crop``, with as many samples as ``batch_size`` wants: at least one of each."""
        if not self.batch_size:
            return self.crop
        scale = self.batch_size / max(samples for _, samples, _ in self.crop)
        return [[side, max(1, round(samples * scale)), weight] for side, samples, weight in self.crop]

    def crops_near(self, multiple: int) -> str:
        """``crop`` as ``--set`` takes it, each side taken to the nearest multiple of so many pixels."""
        near = [
            [max(multiple, multiple * round(side / multiple)), int(samples), weight]
            for side, samples, weight in self.crop
        ]
        return f'--set "crop={near}"'

    @property
    def sampling(self) -> Sampling:
        """What the batches of this run are."""
        same = {f.name: getattr(self, f.name) for f in dataclasses.fields(Sampling)}
        return Sampling(**{**same, "crop": self.crops})

    def as_toml(self) -> str:
        """The recipe as a TOML file, which ``recipe_file`` reads back to an equal one."""
        import tomli_w

        values = {name: value for name, value in dataclasses.asdict(self).items() if name != "model"}
        return tomli_w.dumps({**values, "model": self.model})


def recipe_keys() -> dict[str, Key]:
    """What is known of every key, in the order of the recipe."""
    return {f.name: f.metadata["key"] for f in dataclasses.fields(Recipe)}


def check_recipe(recipe: Recipe, origin: str) -> None:
    """Raise :class:`SweettokError` for a value that no run can have; ``origin`` names its source."""
    for name, about in recipe_keys().items():
        if about.most is None or name == "crop":
            continue
        for value in _numbers(getattr(recipe, name)):
            if not cast(float, about.least) <= value <= about.most:  # not a number lies nowhere
                raise SweettokError(f"{origin}: {name} must lie in {about.range}, not {brief(value)}.")
    crops = bool(recipe.crop) and all(
        len(crop) == 3
        and all(1 <= count <= 65536 and count % 1 == 0 for count in crop[:2])
        and 0 < crop[2] < math.inf
        for crop in recipe.crop
    )
    terms = recipe.l1 + recipe.l2 + recipe.log_l2 + recipe.ssim + recipe.frequency
    rules = {
        "crop must list [side, samples, weight], for example [[64, 8, 1.0]], of 1 to 65536 each": crops,
        "betas must be two numbers below 1": len(recipe.betas) == 2 and max(recipe.betas) < 1,
        "ema must be below 1": recipe.ema < 1,
        "lr must be above 0": recipe.lr > 0,
        "lr_factors must be above 0": all(factor > 0 for factor in recipe.lr_factors.values()),
        f"precision must be one of {', '.join(PRECISIONS)}": recipe.precision in PRECISIONS,
        f"perceptual_network must be one of {', '.join(PERCEPTUAL_NETWORKS)}": recipe.perceptual_network
        in PERCEPTUAL_NETWORKS,
        f"loader must be one of {', '.join(LOADERS)}": recipe.loader in LOADERS,
        "resize must be [] or two growing numbers, for example [1.0, 2.0]": len(recipe.resize) in (0, 2)
        and recipe.resize == sorted(recipe.resize),
        "prices must be two growing numbers, for example [0.25, 8.0]": len(recipe.prices) == 2
        and recipe.prices == sorted(recipe.prices),
        f"discriminator_sees must be one of {', '.join(SEEN)}": recipe.discriminator_sees in SEEN,
        f"without_features must be one of {', '.join(WITHOUT_FEATURES)}": recipe.without_features
        in WITHOUT_FEATURES,
        f"optimizer must be one of {', '.join(OPTIMIZERS)}": recipe.optimizer in OPTIMIZERS,
        f"tracker must be one of {', '.join(TRACKERS)}": recipe.tracker in TRACKERS,
        "one of l1, l2, log_l2, ssim and frequency must be above 0": terms > 0,
    }
    for rule, holds in rules.items():
        if not holds:
            raise SweettokError(f"{origin}: {rule}.")


def _numbers(value: Any) -> list[float]:
    """The numbers of a key's value, of its list or of its table."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else [value]
