"""Finds where a model's hidden states end and its head begins, and proves it against the model's own logits.

A model of mlx-lm is an inner model and a head: ids -> hidden states [B, T, D] -> logits [B, T, V]. Training wants the
two apart, to compute logits only where they count. The names differ between families (`model` and `lm_head`;
`transformer` and the tied `wte`; all of it under `language_model`), so no name is looked for: a child that turns ids
into [1, T, D] may be the inner model, a sibling that turns this into the logits' shape, or an embedding inside, may be
the projection, and a pair is believed when it gives the logits that the model itself gives.
"""

# Shapes: B rows, T positions, D hidden size, V vocabulary.
#
# Why a search and not a table of families: mlx-lm has over a hundred, and a wrong entry would train on wrong logits in
# silence. The search costs one forward pass of PROBE tokens; a candidate that fits by shape alone is never believed,
# since between the projection and the logits a family may scale, cap or do both, by numbers that its config names in
# its own way (SCALES, CAPS). Anything that does not match exactly ends in None, that is in full logits: slow, right.

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any, cast

import mlx.core as mx
import mlx.nn as nn

from tasks.model.causal_lm import Caches
from tasks.patch import evaluating

PROBE = 9
"""Tokens of the probe: more than 8, below which Metal takes other attention kernels."""

TOLERANCE = {mx.float32: 1e-5, mx.float16: 5e-3, mx.bfloat16: 2e-2}
"""The largest gap of logits that agree, relative to the largest of them: a scale may be applied a rounding earlier."""

SCALES = (
    ("logit_scale", None),  # cohere
    ("output_multiplier", None),  # muse_glimmer
    ("lm_head_multiplier", "embedding_multiplier"),  # falcon_h1, tied
    ("dim_model_base", "hidden_size"),  # minicpm, untied: it scales the hidden states
    (None, "logits_scaling"),  # granite
)
"""Names of the factor of the logits in configs: (numerator, denominator), None being 1."""

CAPS = ("final_logit_softcapping", "logits_soft_cap")
"""Names of the bound of the soft cap in configs: gemma, muse_glimmer, gear; recurrent_gemma."""

OWN_CAPS = {"nanochat": 15.0}
"""Soft caps that are written in a family's code, not in its config, by model type."""


@dataclass(frozen=True)
class Head:
    """The two parts of a model, each by its path, so that a projection which is replaced later is still found.

    logits = cap * tanh(scale * projection(hidden) / cap), without the tanh where cap is None.

    Attributes:
        model: the whole model.
        inner: path of the inner model, such as `model` or `language_model.model`.
        projection: path of the last linear map, `lm_head`, or of a tied one, `model.embed_tokens.as_linear`.
        scale: what the projection is multiplied by.
        cap: bound of the soft cap.
    """

    model: nn.Module
    inner: str
    projection: str
    scale: float = 1.0
    cap: float | None = None

    def hidden(self, inputs_BT: mx.array, cache: Caches | None = None) -> mx.array:
        """The hidden states [B, T, D] after the last norm, in the model's dtype."""
        return _at(self.model, self.inner)(inputs_BT, cache=cache)

    def logits(self, hidden: mx.array) -> mx.array:
        """The logits [..., V] of hidden states [..., D], in the dtype that the model gives them."""
        logits = _at(self.model, self.projection)(hidden)
        if self.scale != 1:
            logits = logits * self.scale
        return logits if self.cap is None else mx.tanh(logits / self.cap) * self.cap

    @property
    def frozen(self) -> bool:
        """Whether nothing in the projection is trained, as a loss that gives the head no gradient must know."""
        return not _at(self.model, self.projection.removesuffix(".as_linear")).trainable_parameters()


def find_head(model: nn.Module, seed: int = 0, *, prove: bool = True) -> Head | None:
    """The model's two parts, or None where it has no clean split: compute full logits then. It never raises.

    Runs the model on a few random tokens, in evaluation mode, which reads every weight. Of several heads that fit, as
    when a cap is far above the probe's logits, the closest is taken, and the one that the config names if they tie.

    Args:
        seed: the seed of the random tokens.
        prove: False computes nothing and reads no weight: the first head whose shapes fit, believed as it is.

    Example:
        >>> from mlx_lm.models.gemma2 import Model, ModelArgs
        >>> sizes = dict(hidden_size=8, num_hidden_layers=1, intermediate_size=8, num_attention_heads=1, head_dim=8)
        >>> model = Model(ModelArgs("gemma2", **sizes, rms_norm_eps=1e-6, vocab_size=32, num_key_value_heads=1))
        >>> head = find_head(model)
        >>> head.inner, head.projection, head.scale, head.cap
        ('model', 'model.embed_tokens.as_linear', 1.0, 30.0)
    """
    with evaluating(model):
        try:
            ids = mx.random.randint(0, vocabulary(model), (1, PROBE), key=mx.random.key(seed))
            logits = model(ids)
            candidates = _candidates(model, model, "", ids, logits, prove)
            if not prove:
                return next((head for head, _ in candidates), None)
            gaps = [(_gap(head.logits(h), logits), head) for head, h in candidates]
            gap, head = min(gaps, key=lambda pair: pair[0])
            return head if gap <= TOLERANCE[logits.dtype] else None
        except Exception:  # whatever an exotic model does here, full logits still work
            return None


def _candidates(
    model: nn.Module, host: nn.Module, prefix: str, ids: mx.array, logits: mx.array, prove: bool
) -> Iterator[tuple[Head, mx.array]]:
    """Every head of the right shape in `host`, the module at `prefix` that gives the logits; with the hidden states.

    A child that gives the logits themselves is the model once more inside a wrapper, such as `language_model`, and is
    searched in turn. The tied projection is looked for inside the inner model: `model.embed_tokens.as_linear`.
    """
    children = _children(host)
    for name, inner in children.items():
        h = _attempt(inner, ids, prove, cache=None)
        if h is None or h.shape[:-1] != ids.shape:
            continue
        if h.shape == logits.shape and (not prove or _gap(h, logits) == 0):
            yield from _candidates(model, inner, f"{prefix}{name}.", ids, logits, prove)
            continue
        tied = [f"{name}.{key}.as_linear" for key, child in _children(inner).items() if hasattr(child, "as_linear")]
        for path in [*(key for key in children if key != name), *tied]:
            raw = _attempt(_at(host, path), h, prove)
            if raw is not None and (raw.shape, raw.dtype) == (logits.shape, logits.dtype):
                for scale, cap in product(_scales(host, inner), _caps(host, inner)):
                    yield Head(model, prefix + name, prefix + path, scale, cap), h


def _scales(*owners: nn.Module) -> list[float]:
    """The factors that the config may mean, and 1 last."""
    named = [[1.0 if name is None else _setting(name, owners) for name in pair] for pair in SCALES]
    return [*dict.fromkeys([over / under for over, under in named if over and under] + [1.0])]


def _caps(*owners: nn.Module) -> list[float | None]:
    """The bounds that the config may mean, and None last."""
    in_code = [OWN_CAPS.get(getattr(owner, "model_type", "")) for owner in owners]
    return [*dict.fromkeys([cap for cap in (*(_setting(name, owners) for name in CAPS), *in_code) if cap] + [None])]


def _setting(name: str, owners: Iterable[nn.Module]) -> float | None:
    """A number that a module, or its `args` or `config`, has under this name."""
    places = (getattr(owner, key, None) if key else owner for owner in owners for key in ("", "args", "config"))
    return next((v for p in places if isinstance(v := getattr(p, name, None), int | float)), None)


def vocabulary(model: nn.Module) -> int:
    """The number of ids that are surely valid: the rows of the smallest embedding."""
    return min(m.weight.shape[0] for m in model.modules() if isinstance(m, nn.Embedding | nn.QuantizedEmbedding))


def _children(module: nn.Module) -> dict[str, nn.Module]:
    return {name: child for name, child in module.items() if isinstance(child, nn.Module)}


def _at(module: nn.Module, path: str) -> Any:
    return reduce(getattr, path.split("."), module)


def _attempt(fn: Callable[..., Any], x: mx.array, compute: bool, **options: Any) -> mx.array | None:
    """fn(x), computed if asked; None where that is no array or fails, as for most pairs that do not belong together."""
    try:
        y = fn(x, **options)
        if compute:
            mx.eval(y)
    except Exception:
        return None
    return y if isinstance(y, mx.array) else None


def _gap(ours: mx.array, theirs: mx.array) -> float:
    """The largest difference over the largest value, infinite where either is not finite."""
    ours, theirs = ours.astype(mx.float32), theirs.astype(mx.float32)
    gap = cast(float, (mx.abs(ours - theirs).max() / mx.abs(theirs).max()).item())
    return gap if gap >= 0 else float("inf")
