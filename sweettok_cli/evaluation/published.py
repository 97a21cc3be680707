"""Figures that papers state, to be shown beside ours. Each holds under its own protocol only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True)
class Published:
    """One figure of a paper."""

    model: Annotated[str, "that it is of."]
    metric: Annotated[str, "the name of ours that comes nearest to it."]
    value: Annotated[float, "as printed."]
    data: Annotated[str, "the data set and its part."]
    source: Annotated[str, "where it is printed."]
    protocol: Annotated[
        str, "the preset that repeats its protocol, with what is known beyond; empty where none does."
    ]


_SWEETTOK, _OMNI = "SweetTok (arXiv 2412.10443)", "OmniTokenizer (arXiv 2406.09399)"
_VIDTOK, _LARP = "VidTok (arXiv 2412.13061)", "LARP (arXiv 2410.21264)"
_UNSAID = "sweettok (which definition and network is not said)"

PUBLISHED = (
    Published("SweetTok", "rfvd_400", 20.46, "ucf101", _SWEETTOK, "sweettok"),
    Published("SweetTok", "psnr", 29.27, "ucf101", _SWEETTOK, _UNSAID),
    Published("SweetTok", "ssim", 0.7766, "ucf101", _SWEETTOK, _UNSAID),
    Published("SweetTok", "lpips_vgg", 0.070, "ucf101", _SWEETTOK, _UNSAID),
    Published("LARP", "psnr_clip", 27.88, "ucf101", _SWEETTOK, _UNSAID),
    Published("LARP", "lpips_vgg", 0.085, "ucf101", _SWEETTOK, _UNSAID),
    Published("LARP-L-Long", "rfvd", 20.0, "ucf101", _LARP, "larp (128 pixels, training list)"),
    Published("OmniTokenizer VQ", "rfvd_400", 42.35, "ucf101", _OMNI, "omnitokenizer"),
    Published("OmniTokenizer VAE", "rfvd_400", 23.44, "ucf101", _OMNI, "omnitokenizer"),
    Published("OmniTokenizer VQ", "rfvd_400", 25.97, "k600", _OMNI, "omnitokenizer"),
    Published("OmniTokenizer VAE", "rfvd_400", 13.02, "k600", _OMNI, "omnitokenizer"),
    Published("SweetTok", "psnr", 30.23, "imagenet", _SWEETTOK, _UNSAID),
    Published("SweetTok", "ssim", 0.826, "imagenet", _SWEETTOK, _UNSAID),
    Published("SweetTok", "lpips_vgg", 0.068, "imagenet", _SWEETTOK, _UNSAID),
    *(
        Published(f"VidTok {model}", metric, value, "mcl-jcv", _VIDTOK, "vidtok")
        for model, *values in (
            ("FSQ causal 4x8x8, 262,144 codes", 29.82, 0.867, 0.106),
            ("FSQ causal 4x8x8, 32,768 codes", 29.16, 0.854, 0.117),
            ("FSQ causal 4x8x8, 4,096 codes", 28.36, 0.832, 0.133),
            ("FSQ causal 4x16x16, 262,144 codes", 25.38, 0.738, 0.206),
            ("FSQ non-causal 4x8x8, 262,144 codes", 30.78, 0.889, 0.091),
            ("KL causal 4x8x8, 4 channels", 29.64),
            ("KL causal 4x8x8, 8 channels", 31.83),
            ("KL causal 4x8x8, 16 channels", 35.04),
        )
        for metric, value in zip(("psnr_vidtok", "ssim_vidtok", "lpips_vgg"), values, strict=False)
    ),
)


def published_for(data: str) -> tuple[Published, ...]:
    """The figures on a data set; for any other folder all of them, none of which compares with ours."""
    return tuple(figure for figure in PUBLISHED if figure.data == data) or PUBLISHED
