"""The subject of the checks: an adapter directory and its base, loaded afresh from disk; and the finding of a check."""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from tasks.adapter import Probe, load_adapter, read_probe
from tasks.adapter.probe import PROBE_FILE
from tasks.errors import AdapterError
from tasks.model import Model
from tasks.model.base import load_base
from tasks.model.context_limits import Limits, limits_of

LONGEST = 4096
"""Tokens of the longest probe that is run without being asked for: its logits take tokens x vocabulary floats."""


class Finding(NamedTuple):
    """Whether a check passed, and what it saw, in one line."""

    passed: bool
    detail: str


class Subject:
    """An adapter on disk; nothing of the training process is shared with it.

    Args:
        adapter: the adapter directory.
        model: the base that it was trained on.
        tokens: a row to run where the adapter has no recorded probe.
        longest: tokens of the longest probe that is run.
    """

    def __init__(self, adapter: Path, model: Model, tokens: list[int] | None = None, *, longest: int = LONGEST):
        self.adapter, self.source, self.longest = adapter, model, longest
        self._tokens = tokens or list(range(1, 65))

    @cached_property
    def model(self) -> nn.Module:
        """The base with the adapter, from disk; raises what `load_adapter` raises."""
        model = load_base(self.source).model
        load_adapter(self.adapter, model)
        return model

    @cached_property
    def _limits(self) -> Limits:
        base = load_base(self.source)  # lazily: no weight is read
        return limits_of(base.model, base.config)

    @cached_property
    def probe(self) -> Probe | None:
        """The logits recorded at the end of training, or None.

        Raises:
            AdapterError: it cannot be read, or the model cannot run its tokens: MLX's gather checks no bounds.
        """
        if (probe := read_probe(self.adapter)) is None:
            return None
        tokens, limits = np.array(probe.tokens_T), self._limits
        least, most, length = int(tokens.min()), int(tokens.max()), len(tokens)
        if least < 0 or most >= limits.vocabulary:
            problem = f"it has token id {least if least < 0 else most}, the model's end at {limits.vocabulary - 1}"
        elif length > limits.positions:
            problem = f"it has {length:,} tokens, the model takes {limits.positions:,}"
        elif length > self.longest:
            problem = f"it has {length:,} tokens, more than {self.longest:,}; verify.probe_tokens={length} runs it"
        else:
            return probe
        raise AdapterError(f"adapter at {self.adapter}: {PROBE_FILE} cannot be run: {problem}")

    @cached_property
    def tokens(self) -> list[int]:
        """A row of token ids: the probe's where there is one."""
        if self.probe is not None:
            return np.array(self.probe.tokens_T).tolist()
        return [token % self._limits.vocabulary for token in self._tokens][: self._limits.positions]

    @cached_property
    def eps(self) -> float:
        """The rounding unit of the base's floating-point parameters: 2**-23 for float32, 2**-7 for bfloat16."""
        named = cast(list[tuple[str, mx.array]], tree_flatten(self.model.parameters()))
        floats = [array for _, array in named if mx.issubdtype(array.dtype, mx.floating)]
        units = {mx.float32: 2.0**-23, mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7}
        return max(units.get(a.dtype, 0.0) for a in floats)


def agreement(ours: Probe, theirs: Probe, eps: float) -> Finding:
    """Whether two probes agree but for rounding: their logits' relative root mean square within 16 units of the dtype.

    An adapter at twice its strength is off by 0.6 (starter model), bfloat16 rounding by 0.01, float32 by 1e-6.
    """
    if ours.logits_TC.shape != theirs.logits_TC.shape:
        here, there = ours.logits_TC.shape[1], theirs.logits_TC.shape[1]
        return Finding(False, f"the probe has {there} columns of logits, the model gives {here}")
    gap, allowed = ours.relative(theirs), max(16 * eps, 1e-5)
    tokens, most = len(ours.tokens_T), ours.distance(theirs)
    return Finding(
        gap <= allowed, f"max |d| {most:.3g} over {tokens} tokens; relative {gap:.2g}, {allowed:.2g} allowed"
    )


def trainable(model: nn.Module) -> dict[str, Any]:
    """A model's trainable parameters by full name."""
    return dict(tree_flatten(model.trainable_parameters()))
