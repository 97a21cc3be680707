"""The autoregressive transformer: a causal model of ``transformers``, and how likely it finds symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweettok_cli.errors import SweettokError
from sweettok_cli.generation.choices import FEW
from sweettok_cli.generation.config import GeneratorConfig
from sweettok_cli.sequences.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel

#: In place of a symbol that is not learned.
UNLEARNED = -1
_ROTARY_PLACES = 65_536  # as far as serving programs need to know


def library() -> Any:
    """The package ``transformers``.

    Raises:
        SweettokError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise SweettokError(
            "Generation needs the package transformers; run: pip install 'sweettok[generate]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


def build_network(config: GeneratorConfig, vocabulary: Vocabulary) -> PreTrainedModel:
    """A network with random weights over a vocabulary, a plain model of the library."""
    given = library()
    names = {"bos_token_id": "begin", "eos_token_id": "end", "pad_token_id": "pad"}
    about: dict[str, Any] = {key: vocabulary.special(name) for key, name in names.items()}
    about["vocab_size"] = vocabulary.size
    if config.network == "gpt2":
        dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), config.dropout)
        settings = given.GPT2Config(
            n_layer=config.layers,
            n_head=config.heads,
            n_embd=config.width,
            n_inner=config.inner,
            n_positions=config.places,
            activation_function="gelu",  # not the approximation that GPT-2 has
            tie_word_embeddings=False,
            **dropouts,
            **about,
        )
        return given.GPT2LMHeadModel(settings)
    settings = given.LlamaConfig(
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        hidden_size=config.width,
        intermediate_size=config.inner,
        max_position_embeddings=_ROTARY_PLACES,
        rms_norm_eps=1e-5,
        attention_dropout=config.dropout,
        tie_word_embeddings=True,
        **about,
    )
    return given.LlamaForCausalLM(settings)


class Generator(nn.Module):
    """A network, and how likely it finds each symbol among those that may stand there.

    Args:
        network: a causal model of the library over all symbols of ``vocabulary``.
        vocabulary: of the sequences.
    """

    def __init__(self, network: PreTrainedModel, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.network = network
        self.sizes = [FEW, *(each.size for each in vocabulary.lists.values())]
        self.sizes.append(vocabulary.size - sum(self.sizes))  # classes

    def hidden(self, symbols: Tensor, **options: Any) -> Any:
        """What the network makes of symbols [b, n] before its last map; ``options`` are the library's."""
        return self.network.base_model(input_ids=symbols, **options)

    def layers(self) -> nn.ModuleList:
        """The layers, which are all alike."""
        return next(part for part in self.network.base_model.children() if isinstance(part, nn.ModuleList))

    def rows(self) -> tuple[Tensor, ...]:
        """The last map, cut in parts [size, width]: what is special and steps, each list, classes."""
        weight = self.network.get_output_embeddings().weight
        assert isinstance(weight, Tensor)
        return weight.split(self.sizes)

    def forward(
        self, symbols: Tensor, targets: Tensor, lists: Tensor, few: Tensor, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """How unlikely each next symbol is found to be, in nats, and the mean of what is to be minimised.

        Args:
            symbols: int64 [b, n].
            targets: int64 [b, n], the symbol that follows each; :data:`UNLEARNED` where that is not learned.
            lists: int8 [b, n], the list of codes that may follow (:class:`Choices`).
            few: bool [b, n, FEW], which of the other symbols may.
            smoothing: share of the target's weight that all that may follow have in equal parts.

        Returns:
            float32 [b, n] without a gradient, 0 where nothing is learned; float32 [].
        """
        hidden = self.hidden(symbols, use_cache=False).last_hidden_state.flatten(0, 1)
        targets, lists, few = targets.flatten(), lists.flatten(), few.flatten(0, 1)
        unlikely = torch.zeros(len(targets), device=hidden.device)
        terms = []
        rows, start = self.rows(), FEW
        learned, others = targets >= 0, few.any(1)
        for number, weight in enumerate((rows[0], *rows[1:-1]), -1):
            for mixed in (False, True):
                at = (learned & (lists == number) & (others == mixed)).nonzero()[:, 0]
                if not len(at):
                    continue
                target = targets[at]
                if number >= 0:
                    logits = (hidden[at] @ weight.T).float()
                    target = target - start
                if mixed:
                    beside = (hidden[at] @ rows[0].T).float().masked_fill(~few[at], -torch.inf)
                    logits = beside if number < 0 else torch.cat([beside, logits], dim=1)
                    target = (
                        targets[at]
                        if number < 0
                        else torch.where(targets[at] < FEW, targets[at], target + FEW)
                    )
                likely = F.log_softmax(logits, dim=1)
                own = -likely.gather(1, target[:, None])[:, 0]
                unlikely[at] = own.detach()
                terms.append(own if not smoothing else _smoothed(own, likely, smoothing))
            start += weight.shape[0] if number >= 0 else 0
        return unlikely.view(symbols.shape), torch.cat(terms).mean()


def _smoothed(own: Tensor, likely: Tensor, smoothing: float) -> Tensor:
    """Label smoothing (Szegedy et al., 2016) over what may stand there; ``likely`` are log chances [m, k]."""
    may = likely > -torch.inf
    others = -likely.masked_fill(~may, 0).sum(1) / may.sum(1)
    return (1 - smoothing) * own + smoothing * others
