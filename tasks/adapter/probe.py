"""The probe of an adapter: fixed tokens and the model's logits for them at the end of training.

A later reload is compared with it. The full logits of a real vocabulary would be hundreds of megabytes, so the
probe keeps, for each position, the log of the sum of exponentials over the whole vocabulary and the logits of
evenly spaced columns; a change anywhere in the row changes the first.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from tasks.artifact import read_tensor_info
from tasks.errors import AdapterError, one_line
from tasks.patch import evaluating

PROBE_FILE = "probe.safetensors"
COLUMNS = 256
LONGEST = 2**17
"""Tokens of the longest probe that is read."""


@dataclass(frozen=True)
class Probe:
    """Recorded logits.

    Attributes:
        tokens_T: token ids, int32 [T].
        logits_TC: the logits of every (V // C)-th column, float32 [T, C].
        logsumexp_T: over the whole vocabulary, float32 [T].
    """

    tokens_T: mx.array
    logits_TC: mx.array
    logsumexp_T: mx.array

    def distance(self, other: "Probe") -> float:
        """The largest absolute difference of two probes of the same tokens, in nats; infinite where not finite."""
        assert self.tokens_T.tolist() == other.tokens_T.tolist(), "probes of different tokens"
        gaps = [mx.abs(self.logits_TC - other.logits_TC).max(), mx.abs(self.logsumexp_T - other.logsumexp_T).max()]
        return max(gap if math.isfinite(gap) else math.inf for gap in map(float, gaps))

    def relative(self, other: "Probe") -> float:
        """The root mean square of the differences over that of our logits; infinite where not finite.

        A model in bfloat16 that rounds otherwise is off by 1 or 2 units (2**-7) here, by 60 in its worst logit.
        """
        assert self.tokens_T.tolist() == other.tokens_T.tolist(), "probes of different tokens"
        off = (
            mx.square(self.logits_TC - other.logits_TC).mean() + mx.square(self.logsumexp_T - other.logsumexp_T).mean()
        )
        gap = float(mx.sqrt(off / mx.square(self.logits_TC).mean()))
        return gap if math.isfinite(gap) else math.inf

    def arrays(self) -> dict[str, mx.array]:
        """The arrays by name, as they are written."""
        return {"logits": self.logits_TC, "logsumexp": self.logsumexp_T, "tokens": self.tokens_T}


def record_probe(model: nn.Module, tokens: list[int]) -> Probe:
    """Runs the model in evaluation mode on one row of tokens and records its logits."""
    with evaluating(model):
        probe = lazy_probe(model, mx.array(tokens, mx.int32))
        probe = replace(probe, logits_TC=mx.contiguous(probe.logits_TC))  # a view would keep all logits
        mx.eval(list(probe.arrays().values()))
    return probe


def lazy_probe(model: nn.Module, tokens_T: mx.array) -> Probe:
    """The probe of `record_probe`, not yet computed; the model is in evaluation mode already."""
    logits_TV = model(tokens_T[None])[0].astype(mx.float32)
    step = max(1, logits_TV.shape[-1] // COLUMNS)
    return Probe(tokens_T, logits_TV[:, ::step][:, :COLUMNS], mx.logsumexp(logits_TV, axis=-1))


def read_probe(folder: Path) -> Probe | None:
    """The probe of an adapter directory, or None where it has none.

    Its tokens are ids that somebody else may have written: compare them with the vocabulary before running a model.

    Raises:
        AdapterError: there is one, and it cannot be read, or its arrays are not those of a probe.
    """
    path = folder / PROBE_FILE
    if not path.exists() and not path.is_symlink():
        return None
    try:
        header = read_tensor_info(path)
        if missing := [name for name in ("tokens", "logits", "logsumexp") if name not in header]:
            raise ValueError(f"it has no {missing[0]!r}")
        tokens, logits, total = header["tokens"], header["logits"], header["logsumexp"]
        length = tokens.shape[0] if tokens.shape else 0
        columns = logits.shape[1] if len(logits.shape) == 2 else 0
        if (tokens, total) != (("I32", (length,)), ("F32", (length,))) or logits != ("F32", (length, columns)):
            raise ValueError(
                f"its tokens are {' '.join(map(str, tokens))}, logits {' '.join(map(str, logits))}, logsumexp "
                f"{' '.join(map(str, total))}; a probe has I32 (T,), F32 (T, C) and F32 (T,)"
            )
        if not 0 < length <= LONGEST or not 0 < columns <= COLUMNS:
            raise ValueError(
                f"it has {length:,} tokens and {columns:,} columns; a probe has 1 to {LONGEST:,} and 1 to {COLUMNS}"
            )
        arrays = mx.load(str(path), format="safetensors")
        assert isinstance(arrays, dict)
        mx.eval(arrays)
        return Probe(arrays["tokens"], arrays["logits"], arrays["logsumexp"])
    except (RuntimeError, ValueError) as error:
        raise AdapterError(f"adapter at {folder}: {PROBE_FILE} cannot be read: {one_line(error)}") from error
