"""Checks that no base parameter is trainable, was changed by the training, or was saved with the adapter."""

from tasks.adapter import adapter_parameters, base_checksums
from tasks.adapter.adapter_tensors import tensor_info
from tasks.adapter.base_record import read_base_record
from tasks.check.subject import Finding, Subject, trainable
from tasks.errors import one_line


def check(subject: Subject) -> Finding:
    """Compares the base on disk with the base in the training process when it saved the adapter."""
    wanted = set(adapter_parameters(subject.model))
    if extra := sorted(set(trainable(subject.model)) - wanted):
        return Finding(False, f"trainable beside the adapter: {', '.join(extra[:4])}")
    if extra := sorted(set(tensor_info(subject.adapter)) - wanted):
        return Finding(False, f"saved with the adapter: {', '.join(map(one_line, extra[:4]))}")
    if (recorded := read_base_record(subject.adapter)) is None:
        return Finding(False, "the adapter has no record of its base (base.json)")
    found = base_checksums(subject.model)
    if changed := sorted(name for name in {*recorded, *found} if recorded.get(name) != found.get(name)):
        return Finding(False, f"{len(changed)} base parameters differ, the first is {one_line(changed[0])}")
    return Finding(True, f"{len(found)} base parameters as they were, {len(wanted)} adapter parameters beside them")
