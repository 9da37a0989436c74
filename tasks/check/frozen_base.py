"""No base parameter is trainable, was changed by the training, or was saved with the adapter."""

import json

import mlx.core as mx

from tasks.adapter import adapter_parameters, base_checksums
from tasks.check.subject import Finding, Subject, trainable


def check(subject: Subject) -> Finding:
    """Compares the base on disk with what the training process held of it when it saved the adapter."""
    wanted = set(adapter_parameters(subject.model))
    if extra := sorted(set(trainable(subject.model)) - wanted):
        return Finding(False, f"trainable beside the adapter: {', '.join(extra[:4])}")
    saved = mx.load(str(subject.adapter / "adapters.safetensors"))
    assert isinstance(saved, dict)
    if extra := sorted(set(saved) - wanted):
        return Finding(False, f"saved with the adapter: {', '.join(extra[:4])}")
    path = subject.adapter / "base.json"
    if not path.is_file():
        return Finding(False, "the adapter does not say what its base held (base.json)")
    recorded, found = json.loads(path.read_text()), base_checksums(subject.model)
    if changed := sorted(name for name in {*recorded, *found} if recorded.get(name) != found.get(name)):
        return Finding(False, f"{len(changed)} base parameters differ, the first is {changed[0]}")
    return Finding(True, f"{len(found)} base parameters as they were, {len(wanted)} adapter parameters beside them")
