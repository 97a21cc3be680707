from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from einops import rearrange

from sweettok_cli.models.common.attention import (
    CrossAttention,
    FeedForward,
    PositionConvolution,
    SelfAttention,
    SingleTokenAttention,
    WindowAttention,
    rotary_table,
    rotate,
)

DIM, HEADS, HEAD_DIM = 32, 2, 16
CPU = torch.device("cpu")


def test_rotary_product_depends_on_the_offset_only() -> None:
    table = rotary_table(5, 7, HEAD_DIM, CPU)
    q, k = torch.randn(1, 1, 1, HEAD_DIM), torch.randn(1, 1, 1, HEAD_DIM)
    products = rotate(q.expand(-1, -1, 35, -1), table) @ rotate(k.expand(-1, -1, 35, -1), table).mT
    grid = products[0, 0].reshape(5, 7, 5, 7)
    assert torch.allclose(grid[:3, :4, :3, :4], grid[2:, 3:, 2:, 3:], atol=1e-5)
    assert not torch.allclose(grid[0, 0, 0, 1], grid[0, 0, 1, 0], atol=1e-3)


def test_rotary_table_made_in_inference_serves_training() -> None:
    rotary_table.cache_clear()
    attention = SelfAttention(DIM, HEADS, HEAD_DIM)
    with torch.inference_mode():
        attention(torch.randn(1, 4, DIM), rotary_table(2, 2, HEAD_DIM, CPU))
    attention(torch.randn(1, 4, DIM), rotary_table(2, 2, HEAD_DIM, CPU)).sum().backward()
    assert attention.to_q.weight.grad is not None


def test_causal_attention_never_sees_what_follows() -> None:
    attention = SelfAttention(DIM, HEADS, HEAD_DIM, causal=True)
    x = torch.randn(2, 6, DIM)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = attention(x), attention(changed)
    assert before[:, :4].equal(after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_single_token_attention_is_attention_over_one_token() -> None:
    full, single = SelfAttention(DIM, HEADS, HEAD_DIM), SingleTokenAttention(DIM, HEADS, HEAD_DIM)
    single.to_v.weight.data = full.to_kv.weight.data.chunk(2)[1]
    single.to_out = full.to_out
    x = torch.randn(7, 1, DIM)
    assert torch.allclose(full(x), single(x), atol=1e-6)


def test_shared_context_equals_copies() -> None:
    attention = CrossAttention(DIM, HEADS, HEAD_DIM, null_keys=2)
    x, context = torch.randn(2 * 3, 5, DIM), torch.randn(2, 4, DIM)
    copied = attention(x, context.repeat_interleave(3, dim=0))
    assert torch.allclose(attention(x, context), copied, atol=1e-6)


def test_null_keys_dilute_the_context() -> None:
    attention = CrossAttention(DIM, HEADS, HEAD_DIM, null_keys=1)
    assert attention.null_kv is not None
    attention.null_kv.data.zero_()  # a null key of length zero scores 0, its value adds nothing
    x, context = torch.randn(1, 3, DIM), torch.randn(1, 1, DIM)
    by_heads = partial(rearrange, pattern="n l (heads c) -> n heads l c", heads=HEADS)
    q = F.normalize(by_heads(attention.to_q(attention.norm(x))), dim=-1)
    k, v = (by_heads(part) for part in attention.to_kv(attention.context_norm(context)).chunk(2, -1))
    score = 8 * (q * F.normalize(k, dim=-1)).sum(-1, keepdim=True)
    expected = attention.to_out((torch.sigmoid(score) * v).transpose(1, 2).flatten(2))
    assert torch.allclose(attention(x, context), expected, atol=1e-5)


def test_window_bias_is_the_offset_from_key_to_query() -> None:
    attention = WindowAttention(DIM, HEADS, window=3)
    index = attention.relative_position_index
    assert index.shape == (9, 9)
    for query in range(9):
        for key in range(9):
            dy, dx = query // 3 - key // 3, query % 3 - key % 3
            assert index[query, key] == (dy + 2) * 5 + dx + 2


def test_feed_forward_gates_with_its_second_half() -> None:
    ff = FeedForward(DIM)
    assert ff.contract.in_features == int(4 * 2 / 3 * DIM)
    assert FeedForward(DIM, multiple=16).contract.in_features == 96
    x = torch.randn(3, DIM)
    value, gate = ff.expand(ff.norm(x)).chunk(2, -1)
    assert ff(x).equal(ff.contract(F.gelu(gate) * value))


def test_position_convolution_is_causal() -> None:
    conv = PositionConvolution(DIM)
    x = torch.randn(1, 4, 3, 3, DIM)
    changed = x.clone()
    changed[:, 2:] += 1
    assert torch.allclose(conv(x)[:, :2], conv(changed)[:, :2], atol=1e-6)


def test_scrambled_convolution_reads_rows_in_memory_order() -> None:
    plain, scrambled = PositionConvolution(DIM), PositionConvolution(DIM, scrambled=True)
    scrambled.load_state_dict(plain.state_dict())
    b, t, h, w = 2, 3, 2, 4
    x = torch.randn(b, t, h, w, DIM)
    rows = x.permute(0, 2, 3, 1, 4).contiguous()  # (h w) t, as a temporal transformer holds them
    expected = plain(rows.view(b, t, h, w, DIM)).reshape(b, h, w, t, DIM).permute(0, 3, 1, 2, 4)
    assert torch.allclose(scrambled(x), expected, atol=1e-6)
    assert not torch.allclose(scrambled(x), plain(x), atol=1e-3)
