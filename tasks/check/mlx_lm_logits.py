"""Checks that mlx-lm's own loader accepts the adapter and gives the same logits."""

from tasks.adapter import record_probe
from tasks.check.subject import Finding, Subject, agreement
from tasks.errors import one_line
from tasks.model.base import load_base


def check(subject: Subject) -> Finding:
    """mlx-lm keeps the adapter in float32 where we compute in the model's dtype, hence the allowance under bfloat16."""
    from mlx_lm.tuner.utils import load_adapters

    ours = record_probe(subject.model, subject.tokens)
    theirs = load_base(subject.source).model
    try:
        load_adapters(theirs, str(subject.adapter))
    except Exception as error:  # whatever another reader makes of files that ours has taken
        return Finding(False, f"mlx-lm refuses it: {one_line(error)}")
    theirs.eval()
    return agreement(ours, record_probe(theirs, subject.tokens), subject.eps)
