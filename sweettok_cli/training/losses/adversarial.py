"""Two players: what a discriminator teaches a decoder, and what it learns itself.

A discriminator answers a batch with a list: the features of its stages, and last the logits, which are high
for what it takes to be real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.training import collective
from sweettok_cli.training.recipe import Recipe

_LARGEST_WEIGHT = 1e4


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """What a discriminator minimises: logits of real ones above 1, of made ones below -1."""
    return 0.5 * (F.relu(1 - real).mean() + F.relu(1 + fake).mean())


def linear(fake: Tensor) -> Tensor:
    """What a decoder minimises against :func:`hinge`: the mean logit, negated."""
    return -fake.mean()


def non_saturating(fake: Tensor) -> Tensor:
    """What a decoder minimises in VidTok: the cross entropy of each sample's mean logit with "real"."""
    return F.softplus(-fake.flatten(1).mean(dim=1)).mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Sum over the stages, without the logits, of the mean absolute difference of their features."""
    apart = [F.l1_loss(b, a.detach()) for a, b in zip(real[:-1], fake[:-1], strict=True)]
    return torch.stack(apart).sum()


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """How much larger the first loss' gradient is, at the decoder's last layer, than the second's.

    Esser et al., "Taming Transformers", 2021, equation 7; at most 10 000. Of several processes, by the mean
    of their gradients.
    """
    norms = [
        collective.mean(torch.autograd.grad(loss, last, retain_graph=True)[0]).norm()
        for loss in (reconstruction, adversarial)
    ]
    return (norms[0] / (norms[1] + 1e-4)).clamp(0, _LARGEST_WEIGHT).detach()


class LeCam(nn.Module):
    """Holds logits near moving averages of the other side's (Tseng et al., 2021).

    The averages are buffers, so that they are saved and go on. ``each`` compares every logit, after the
    averages have taken it in, as VidTok does; otherwise the mean logit, before, as SweetTok's code has it.
    """

    real: Tensor
    fake: Tensor

    def __init__(self, decay: float = 0.999, each: bool = False) -> None:
        super().__init__()
        self.decay, self.each = decay, each
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty, not weighted; takes the logits into the averages."""
        means = collective.mean(torch.stack([real.mean(), fake.mean()]))
        if self.each:
            self._take(means)
            return F.relu(real - self.fake).square().mean() + F.relu(self.real - fake).square().mean()
        penalty = F.relu(means[0] - self.fake).square() + F.relu(self.real - means[1]).square()
        self._take(means)
        return penalty

    @torch.no_grad()
    def _take(self, means: Tensor) -> None:
        # New tensors: the old values are needed by the gradient.
        self.real, self.fake = (
            old * self.decay + new * (1 - self.decay)
            for old, new in zip((self.real, self.fake), means.unbind(), strict=True)
        )


class Adversary(nn.Module):
    """A discriminator that learns beside a decoder, with all it keeps.

    Each batch is judged once: who learns from which term is up to the optimizers. (Published code judges it
    once for either side, with the same numbers.) As VidTok does: ``teach`` is :func:`non_saturating`, and
    LeCam compares ``each`` logit.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        recipe: Recipe,
        teach: Callable[[Tensor], Tensor] = linear,
        each: bool = False,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.lecam = LeCam(each=each) if recipe.lecam else None
        self.recipe, self.teach = recipe, teach

    def forward(
        self, made: Tensor, wanted: Tensor, balance: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted terms of the decoder, which made the first, and those of the discriminator.

        It has none where it rests.

        Computed in float32; the videos are [b, 3, t, h, w]. ``balance`` is told what the decoder is taught,
        and answers with a factor on it.
        """
        recipe = self.recipe
        with torch.autocast(made.device.type, enabled=False):
            real, fake = (self.discriminator(self._seen(video.float())) for video in (wanted, made))
            taught = self.teach(fake[-1])
            factor = 1.0 if balance is None else balance(taught)
            of_decoder = {"adversarial": recipe.adversarial * factor * taught}
            if recipe.feature_matching:
                of_decoder["features"] = recipe.feature_matching * feature_matching(real, fake)
            own = {"hinge": recipe.discriminator * hinge(real[-1], fake[-1])}
            if self.lecam is not None:
                own["lecam"] = recipe.lecam * self.lecam(real[-1], fake[-1])
            if recipe.discriminator_rest and self._knows(own["hinge"]):
                own = {}
        return of_decoder, own

    def _knows(self, hinge: Tensor) -> bool:
        """Whether all processes together tell made from real so well that this one need not learn."""
        return collective.mean(hinge.detach()).item() < self.recipe.discriminator_rest

    def _seen(self, video: Tensor) -> Tensor:
        """A video as the discriminator takes it: whole, or as single frames [b * t, 3, h, w]."""
        return video if self.recipe.discriminator_sees == "clips" else video.transpose(1, 2).flatten(0, 1)
