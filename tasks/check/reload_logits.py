"""A fresh load of base and adapter gives the logits that were recorded at the end of training."""

import mlx.core as mx

from tasks.adapter import record_probe
from tasks.check.subject import Finding, Subject


def check(subject: Subject) -> Finding:
    """On the machine that trained the difference is 0; another device may round otherwise, by 64 units of the dtype."""
    probe = subject.probe
    if probe is None:
        return Finding(False, "no logits were recorded with this adapter (probe.safetensors)")
    gap = record_probe(subject.model, subject.tokens).distance(probe)
    allowed = 64 * subject.eps * max(1.0, float(mx.abs(probe.logsumexp_T).max()))
    return Finding(gap <= allowed, f"max |d| {gap:.3g} over {len(subject.tokens)} tokens, {allowed:.2g} allowed")
