"""The protocols of the papers, as their published code has them, and what of each is not reproduced."""

from __future__ import annotations

from sweettok_cli.errors import SweettokError
from sweettok_cli.evaluation.metrics.frechet import FrechetRule
from sweettok_cli.evaluation.protocol import Protocol
from sweettok_cli.evaluation.spatial_fit import SpatialFit

_SQUASHED = SpatialFit("squash", 256, "swscale bicubic")
_SQUASHED_PICTURE = SpatialFit("squash", 256, "pillow bicubic")
_TF_GAN = FrechetRule(unbiased=True, root="svd", single=True)
_STYLEGAN = FrechetRule(unbiased=False, root="eigh", single=False)
_DECORD = (
    "Frames are resized by libswscale's bicubic filter after conversion to RGB; the paper's reader (decord) "
    "leaves the filter to its build of FFmpeg and resizes before conversion."
)
_ROOT = (
    "The trace of the matrix root is taken from eigenvalues; the paper's code calls scipy.linalg.sqrtm, "
    "which is the same up to rounding."
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="default",
            source="sweettok: everything that is there, at its own size",
            data="any folder",
        ),
        Protocol(
            name="sweettok",
            source="adxcreative/SweetTok: data/video_dataset.py, scripts/eval_sweettok.py",
            data="UCF-101 testlist01 (3,783 videos), ImageNet val",
            data_sets=("ucf101", "imagenet"),
            choice="centre",
            frames=17,
            fit=_SQUASHED,
            picture_fit=_SQUASHED_PICTURE,
            rounding="down",
            metrics=("psnr", "psnr_clip", "ssim", "lpips_vgg", "lpips_alex", "rfvd_400"),
            picture_metrics=("psnr", "ssim", "lpips_vgg", "lpips_alex", "rfid"),
            frechet=_TF_GAN,
            average="clips",
            differs=(
                "The published code measures rFVD only: how the paper's PSNR, SSIM and LPIPS are defined is "
                "not known, so several definitions are given.",
                _DECORD,
                "A video of fewer than 17 frames is measured as it is; the paper's reader adds black frames.",
            ),
        ),
        Protocol(
            name="omnitokenizer",
            source="FoundationVision/OmniTokenizer: vqgan_eval.py, OmniTokenizer/{data,fvd/fvd}.py",
            data="UCF-101 and Kinetics-600 validation lists, ImageNet val",
            data_sets=("ucf101", "k600", "imagenet"),
            choice="centre",
            frames=17,
            fit=_SQUASHED,
            picture_fit=_SQUASHED_PICTURE,
            rounding="down",
            metrics=("rfvd_400", "psnr", "ssim"),
            picture_metrics=("rfid", "psnr", "ssim"),
            frechet=_TF_GAN,
            average="clips",
            differs=(
                _DECORD,
                "The validation lists are those of the data sets; the paper's own files were not compared.",
                "PSNR and SSIM are ours; the paper gives rFVD and rFID only.",
                "A video of fewer than 17 frames is measured as it is; the paper's reader adds black frames.",
            ),
        ),
        Protocol(
            name="larp",
            source="hywang66/LARP: eval/rfvd_evaluator.py, datasets/video_dataset.py",
            data="UCF-101 trainlist01 (9,537 videos)",
            data_sets=("ucf101",),
            choice="random",
            frames=16,
            window=16,
            fit=SpatialFit("crop", 128, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 128, "torch bilinear antialias"),
            metrics=("psnr_clip", "lpips_vgg", "rfvd"),
            picture_metrics=("psnr_clip", "lpips_vgg", "rfid"),
            frechet=_STYLEGAN,
            splits={"ucf101": "train"},
            average="clips",
            differs=(
                "The random starts are ours: the paper's come from an unseeded generator.",
                "Resized frames and reconstructions are rounded to 8 bits before they are compared; the "
                "paper compares floats.",
                "The paper runs the network under float16 autocast; here --dtype says.",
                _ROOT,
            ),
        ),
        Protocol(
            name="vidtok",
            source="microsoft/VidTok: scripts/inference_evaluate.py, vidtok/data/vidtok.py",
            data="MCL-JCV (30 videos)",
            data_sets=("mcl-jcv",),
            fps=30.0,
            fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            metrics=("psnr_vidtok", "ssim_vidtok", "lpips_vgg"),
            picture_metrics=("psnr_vidtok", "ssim_vidtok", "lpips_vgg"),
            differs=(
                "Resized frames and reconstructions are rounded to 8 bits before they are compared; the "
                "paper compares floats.",
                "Every frame counts once; the paper averages over pieces of 17 (16) frames, and repeated "
                "frames that fill up the last piece count there.",
                "The paper's FVD is left out: its code is not published.",
            ),
        ),
        Protocol(
            name="stylegan-v",
            source="universome/stylegan-v: src/metrics/frechet_video_distance.py",
            data="2,048 clips of 16 frames, at the data set's size",
            choice="random",
            frames=16,
            window=16,
            fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            picture_fit=SpatialFit("crop", 256, "torch bilinear antialias"),
            metrics=("rfvd", "psnr", "ssim"),
            picture_metrics=("psnr", "ssim", "rfid"),
            frechet=_STYLEGAN,
            clips=2048,
            average="clips",
            differs=(
                "The paper compares generated videos with real ones (gFVD); here reconstructions are "
                "compared with their own sources (rFVD), which is a much smaller number.",
                "Data sets are prepared by the paper's own script; here the shorter side is brought to 256 "
                "pixels and the middle cut out.",
                "The random starts are ours.",
                _ROOT,
            ),
        ),
    )
}


def find_protocol(name: str) -> Protocol:
    """The preset of this name.

    Raises:
        SweettokError: there is none.
    """
    if name not in PROTOCOLS:
        raise SweettokError(f"There is no protocol {name!r}; choose from {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
