"""Linear layers that spare processors work and memory traffic while nothing is learned."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable

import torch
from torch import Tensor, nn

_X86 = platform.machine().lower() in ("x86_64", "amd64")
# Rearranging a weight matrix for oneDNN pays from about so many rows.
_FEWEST_ROWS = 128
# 16 MiB of float32: half of the most that glibc's malloc keeps for reuse.
_MOST_VALUES = 4 << 20


def only_evaluates(x: Tensor) -> bool:
    """Whether ``x`` is float32 on a processor and no gradient will be asked for.

    There, memory traffic is what can be saved; compiled and differentiated networks keep to the plain way.
    """
    plain = torch.is_grad_enabled() or torch.compiler.is_compiling()
    return x.device.type == "cpu" and x.dtype == torch.float32 and not plain


class Linear(nn.Linear):
    """``nn.Linear`` whose evaluation on x86 processors is left to oneDNN instead of the BLAS library.

    PyTorch hands float32 products to MKL, which keeps to half the width of what AMD's processors can do;
    oneDNN's 1x1 convolution is the same sum and measured 1.2 (AVX2) to 2.4 (AVX-512) times as fast there.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        rows = x.numel() // self.in_features
        suits_onednn = (
            _X86
            and only_evaluates(x)
            and self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()
        )
        if rows < _FEWEST_ROWS or not suits_onednn:
            return super().forward(x)
        pixels = x.reshape(1, rows, 1, self.in_features).permute(0, 3, 1, 2)  # [1, in, rows, 1]
        kernel = self.weight[:, :, None, None]
        out = torch.mkldnn_convolution(pixels, kernel, self.bias, (0, 0), (1, 1), (1, 1), 1)
        return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], self.out_features)


def by_rows(function: Callable[[Tensor], Tensor], x: Tensor, width: int, most: int = _MOST_VALUES) -> Tensor:
    """``function``, which maps each row of x [..., d] by itself to [..., e], on some rows at a time.

    ``width`` is the number of values that it holds a row in between. So many rows are mapped at once that
    these stay below ``most``, the size from which the allocator fetches every block anew, page by page.
    """
    if not only_evaluates(x):
        return function(x)
    out = by_parts(function, width, x.reshape(-1, x.shape[-1]), most=most)
    return out.view(*x.shape[:-1], out.shape[-1])


def by_parts(
    function: Callable[..., Tensor], width: int, x: Tensor, *others: Tensor, most: int = _MOST_VALUES
) -> Tensor:
    """As :func:`by_rows`, for a ``function`` that maps each x[i], of any shape, by itself.

    It is given the ``others`` as well, cut in the same way unless they are one for all.
    """
    if not only_evaluates(x):
        return function(x, *others)
    count = max(1, min(math.ceil(len(x) * width / most), len(x)))
    cut = [part.expand(len(x), *part.shape[1:]).tensor_split(count) for part in (x, *others)]
    parts = [function(*given) for given in zip(*cut, strict=True)]
    return parts[0] if count == 1 else torch.cat(parts)
