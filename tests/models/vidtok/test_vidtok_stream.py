from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sweettok_cli.models.common.gaussian import GaussianLatents
from sweettok_cli.models.vidtok.network import DecoderState, EncoderState, VidTok

Make = Callable[..., VidTok]

CAUSAL = ["vidtok-kl-causal-488-4chn", "vidtok-kl-causal-488-4chn-v1.1"]
OTHERS = ["vidtok-kl-causal-41616-4chn-v1.1", "vidtok-kl-causal-288-8chn", "vidtok-kl-causal-444-4chn"]


def clip(frames: int, size: int = 16) -> Tensor:
    return torch.rand(1, 3, frames, size, size) * 2 - 1


def encoded(stream: EncoderState, video: Tensor, cuts: list[int]) -> Tensor:
    return torch.cat([stream.push_latent(part) for part in video.split(cuts, 2)], 2)


def decoded(stream: DecoderState, latents: Tensor, cuts: list[int]) -> Tensor:
    parts = [stream.push_latent(part) for part in latents.split(cuts, 2)]
    return torch.cat([*parts, stream.finish()], 2)


@pytest.mark.parametrize("name", [*CAUSAL, *OTHERS])
@pytest.mark.parametrize("cuts", [[1, 16, 4], [5, 4, 4, 4, 4], [9, 12]])
def test_latents_do_not_depend_on_cuts(narrow: Make, name: str, cuts: list[int]) -> None:
    model = narrow(name)
    video = clip(21, model.config.space_factor)
    with torch.inference_mode():
        whole = model.encode_latent(video)
        assert encoded(EncoderState(model), video, cuts).allclose(whole, atol=1e-9)


@pytest.mark.parametrize("name", [*CAUSAL, *OTHERS])
@pytest.mark.parametrize("cuts", [[1, 4, 2], [1] * 7, [3, 4], [7]])
def test_frames_do_not_depend_on_cuts(narrow: Make, name: str, cuts: list[int]) -> None:
    model = narrow(name)
    latents = torch.randn(1, model.config.channels, 7, 2, 2)
    with torch.inference_mode():
        whole = model.decode(latents)
        streamed = decoded(DecoderState(model), latents, cuts)
    assert streamed.shape == whole.shape
    assert streamed.allclose(whole, atol=1e-9)


def test_tokens_of_streams(narrow: Make) -> None:
    model = narrow("vidtok-fsq-causal-488-4096-v1.1")
    video = clip(9)
    with torch.inference_mode():
        stream = EncoderState(model)
        indices = torch.cat([stream.push(video[:, :, :1]), stream.push(video[:, :, 1:])], 1)  # type: ignore[list-item]
        assert indices.equal(model.encode(video))  # type: ignore[arg-type]
        back = DecoderState(model)
        frames = torch.cat([back.push(indices), back.finish()], 2)
        assert frames.equal(model.decode(indices))
    kl = EncoderState(narrow(CAUSAL[1])).push(video)
    assert isinstance(kl, GaussianLatents)


def test_streams_do_not_disturb_each_other(narrow: Make) -> None:
    model = narrow(CAUSAL[1])
    cuts = [1, 2, 2]
    videos = [clip(17), clip(17)]
    latents = [torch.randn(1, 4, 5, 2, 2) for _ in range(2)]
    with torch.inference_mode():
        alone = [
            (
                encoded(EncoderState(model), v, [1, 8, 8]),
                decoded(DecoderState(model), z, cuts),
            )
            for v, z in zip(videos, latents, strict=True)
        ]
        encoders = [EncoderState(model) for _ in videos]
        decoders = [DecoderState(model) for _ in videos]
        coded: list[list[Tensor]] = [[], []]
        frames: list[list[Tensor]] = [[], []]
        for start, stop, first, last in ((0, 1, 0, 1), (1, 9, 1, 3), (9, 17, 3, 5)):
            for i in range(2):
                coded[i].append(encoders[i].push_latent(videos[i][:, :, start:stop]))
                frames[i].append(decoders[i].push_latent(latents[i][:, :, first:last]))
            model.encode_latent(clip(5))
            model.decode_latent(torch.randn(1, 4, 2, 2, 2))
        for i in range(2):
            frames[i].append(decoders[i].finish())
            assert torch.cat(coded[i], 2).equal(alone[i][0])
            assert torch.cat(frames[i], 2).equal(alone[i][1])


def test_nothing_stays_in_the_network(narrow: Make) -> None:
    model = narrow(CAUSAL[1])
    before = {name: set(vars(module)) for name, module in model.named_modules()}
    with torch.inference_mode():
        encoded(EncoderState(model), clip(5), [1, 4])
        decoded(DecoderState(model), torch.randn(1, 4, 2, 2, 2), [1, 1])
    assert {name: set(vars(module)) for name, module in model.named_modules()} == before
    tensors = [v for module in model.modules() for v in vars(module).values() if isinstance(v, Tensor)]
    assert not tensors


def test_memory_is_flat(narrow: Make) -> None:
    model = narrow(CAUSAL[1])
    with torch.inference_mode():
        encoder, decoder = EncoderState(model), DecoderState(model)
        encoder.push_latent(clip(1))
        decoder.push_latent(torch.randn(1, 4, 1, 2, 2))
        sizes = []
        for _ in range(4):
            encoder.push_latent(clip(8))
            decoder.push_latent(torch.randn(1, 4, 2, 2, 2))
            sizes.append(kept(encoder) + kept(decoder))
    assert sizes[0] > 0
    assert sizes[1:] == [sizes[1]] * 3


def test_memory_does_not_grow_with_the_pushes(narrow: Make) -> None:
    model = narrow(CAUSAL[1])
    sizes = []
    with torch.inference_mode():
        for latents in (4, 12):  # with fewer, some layers have seen nothing yet
            encoder, decoder = EncoderState(model), DecoderState(model)
            encoder.push_latent(clip(4 * latents))
            decoder.push_latent(torch.randn(1, 4, latents, 2, 2))
            sizes.append((kept(encoder), kept(decoder)))
    assert sizes[0] == sizes[1]


def kept(thing: object, seen: set[int] | None = None) -> int:
    """Bytes behind all tensors that can be reached from a stream, but through its network."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, torch.nn.Module):
        return 0
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        return thing.untyped_storage().nbytes()
    inside = (
        list(thing.values())
        if isinstance(thing, dict)
        else list(thing)
        if isinstance(thing, (list, tuple))
        else list(vars(thing).values())
        if hasattr(thing, "__dict__")
        else []
    )
    return sum(kept(part, seen) for part in inside)


def test_what_streams_refuse(narrow: Make) -> None:
    model = narrow(CAUSAL[1])
    stream = EncoderState(model)
    stream.push_latent(clip(1))
    for count in (0, 3):
        with pytest.raises(ValueError, match="multiples of 4"):
            stream.push_latent(clip(count))
    with pytest.raises(ValueError, match="nothing was pushed"):
        DecoderState(model).finish()
