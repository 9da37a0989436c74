"""Packed equals alone: logits, loss and every gradient, for each family and way."""

from itertools import pairwise
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx_lm.models import qwen3, qwen3_next

from tasks.attention import Way, alone_cache, packed_cache, segment_attention
from tasks.attention.routing import DELTA, NAME, attention_modules
from tasks.grad.checkpoint_blocks import checkpoint_blocks
from tests.attention.families import SAME, STARTS, apart, packed_loss, segments_of, single_loss, tiny, tokens
from tests.step.test_law import LINEAR
from tests.tiny import arrays

WAYS: tuple[Way, ...] = ("mask", "blockwise", "split")
SINGLE: dict[str, Any] = {}


def alone(family: str) -> tuple[Any, Any, Any]:
    """(model, (loss, logits), gradients) of one call per segment; computed once."""
    if family not in SINGLE:
        model = tiny(family)
        step = nn.value_and_grad(model, lambda ids: single_loss(model, ids))
        SINGLE[family] = model, *step(tokens())
    return SINGLE[family]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", SAME)
def test_packed_equals_alone(family: str, way: Way) -> None:
    model, (loss, logits), grads = alone(family)
    step = nn.value_and_grad(model, lambda ids, segments: packed_loss(model, ids, segments, way))
    (packed, out), packed_grads = step(tokens(), segments_of())
    assert packed.item() == pytest.approx(loss.item(), rel=1e-5)
    spans = [(n, a, b) for n, row in enumerate(STARTS) for a, b in pairwise(row[:-1])]
    for (n, a, b), expected in zip(spans, logits, strict=True):
        assert apart(out[n : n + 1, a:b], expected) < 1e-5
    wanted = arrays(grads)
    whole = np.sqrt(sum(np.square(np.array(grad)).sum() for grad in wanted.values()))
    for name, grad in arrays(packed_grads).items():
        assert np.linalg.norm(np.array(grad - wanted[name])) < 1e-5 * whole, name
        assert apart(grad, wanted[name]) < 1e-4 or mx.abs(wanted[name]).max() < 1e-4, name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["gemma3_text", "gpt_oss"])
def test_compiled_and_checkpointed(family: str, way: Way) -> None:
    model, (loss, _), grads = alone(family)
    value_and_grad = nn.value_and_grad(model, lambda ids, segments: packed_loss(model, ids, segments, way)[0])
    with checkpoint_blocks(model.layers), segment_attention(model):  # around the backward: it runs the blocks again
        packed, packed_grads = mx.compile(value_and_grad)(tokens(), segments_of())
    assert packed.item() == pytest.approx(loss.item(), rel=1e-5)
    found, wanted = arrays(packed_grads), arrays(grads)
    for name in ("model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight"):
        assert apart(found[name], wanted[name]) < 1e-5


def test_one_graph_serves_other_segments() -> None:
    model, traces = tiny("qwen3"), []

    def forward(ids: mx.array, segments: mx.array) -> mx.array:
        traces.append(1)
        return packed_loss(model, ids, segments, "blockwise")[1]

    compiled = mx.compile(forward)
    for starts in (STARTS, [[0, 30, 44], [0, 2, 12, 44]]):
        segments = segments_of(starts)
        cache = packed_cache(model, segments, mx.float32)
        assert apart(compiled(tokens(), segments), model(tokens(), cache=cache)) < 1e-5
    assert len(traces) == 1


def test_longest_drops_keys_that_no_segment_reaches() -> None:
    model = tiny("qwen3")
    segments = mx.array([[n // 100 for n in range(600)]])
    ids = mx.random.randint(0, 300, (1, 600), key=mx.random.key(1))
    with segment_attention(model):
        caches = [packed_cache(model, segments, mx.float32, way="blockwise", longest=n) for n in (100, None)]
        left, right = (model(ids, cache=cache) for cache in caches)
    assert apart(left, right) < 1e-5


def test_the_name_is_given_back_in_any_order() -> None:
    model, stock = tiny("qwen3"), getattr(qwen3, NAME)
    assert attention_modules(model) == [qwen3]
    first, second = segment_attention(model), segment_attention(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert getattr(qwen3, NAME) is not stock
    second.__exit__(None, None, None)
    assert getattr(qwen3, NAME) is stock


def test_an_error_inside_gives_it_back_too() -> None:
    model, stock = tiny("qwen3"), getattr(qwen3, NAME)
    with pytest.raises(KeyError), segment_attention(model):
        raise KeyError
    assert getattr(qwen3, NAME) is stock


def test_ordinary_calls_are_untouched() -> None:
    model = tiny("gpt_oss")
    plain = model(tokens())
    with segment_attention(model):
        assert mx.array_equal(model(tokens()), plain)


@pytest.mark.parametrize("way", ["blockwise", "split"])
def test_unrouted_attention_is_an_error_not_a_leak(way: Way) -> None:
    model = tiny("qwen3")
    cache = packed_cache(model, segments_of(), mx.float32, way=way, boundaries=STARTS)
    with pytest.raises(ValueError, match="mask"):
        mx.eval(model(tokens(), cache=cache))


@pytest.mark.parametrize("length", [40, 280])  # below and above where the stock attention ends on a CPU
@pytest.mark.parametrize("family", SAME)
def test_rows_of_one_example_are_what_they_are_without_a_cache(family: str, length: int) -> None:
    model = tiny(family)
    ids = mx.random.randint(0, 300, (2, length), key=mx.random.key(1))

    def loss(ours: bool) -> mx.array:
        cache = alone_cache(model, length, mx.float32) if ours else None
        return mx.logsumexp(model(ids, cache=cache), axis=-1).square().mean()

    with segment_attention(model):
        (value, grads), (expected, wanted) = (nn.value_and_grad(model, loss)(ours) for ours in (True, False))
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, grad in arrays(grads).items():
        assert apart(grad, arrays(wanted)[name]) < 1e-4, name


def test_linear_attention_goes_by_chunks_and_is_given_back() -> None:
    model, stock = tiny("qwen3_next", **LINEAR["qwen3_next"]), getattr(qwen3_next, DELTA)
    ids = mx.random.randint(0, 300, (1, 70), key=mx.random.key(1))
    plain = model(ids)
    with segment_attention(model):
        assert getattr(qwen3_next, DELTA) is not stock
        assert apart(model(ids), plain) < 1e-5
        cached = model.make_cache()  # a state goes on as mlx-lm has it
        parts = [model(ids[:, :40], cache=cached), model(ids[:, 40:], cache=cached)]
        assert apart(mx.concatenate(parts, axis=1), plain) < 1e-5
    assert getattr(qwen3_next, DELTA) is stock
