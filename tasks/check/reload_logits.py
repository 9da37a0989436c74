"""Checks that a fresh load of base and adapter gives the logits that were recorded at the end of training."""

from tasks.adapter import record_probe
from tasks.check.subject import Finding, Subject, agreement


def check(subject: Subject) -> Finding:
    """On the machine that trained the difference is 0; another device may round otherwise."""
    probe = subject.probe
    if probe is None:
        return Finding(False, "no logits were recorded with this adapter (probe.safetensors)")
    again = record_probe(subject.model, subject.tokens)
    (_, columns), (_, recorded) = again.logits_TC.shape, probe.logits_TC.shape
    if columns != recorded:
        return Finding(False, f"{recorded} columns of logits were recorded, a probe of this model has {columns}")
    return agreement(again, probe, subject.eps)
