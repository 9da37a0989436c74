"""Checks every file of the adapter against the digest in its manifest."""

from tasks.adapter import read_adapter_manifest
from tasks.adapter.adapter_config import WEIGHTS
from tasks.adapter.adapter_tensors import changed_tensors
from tasks.artifact import damaged_files
from tasks.check.subject import Finding, Subject
from tasks.errors import AdapterError, one_line


def check(subject: Subject) -> Finding:
    """Fails where there is no manifest: there is nothing then to compare the files with."""
    try:
        manifest = read_adapter_manifest(subject.adapter)
    except AdapterError as error:
        return Finding(False, str(error))
    if manifest is None:
        return Finding(False, "there is no manifest.json to compare the files with")
    if damaged := damaged_files(subject.adapter):
        shown = ", ".join(one_line(name) for name in damaged[:4]) + ", ..." * (len(damaged) > 4)
        tensors = changed_tensors(subject.adapter, manifest.tensors) if WEIGHTS in damaged else []
        which = f" ({', '.join(map(one_line, tensors[:4]))}{', ...' * (len(tensors) > 4)})" if tensors else ""
        return Finding(False, f"{shown}: other bytes than when it was saved, or missing{which}")
    return Finding(True, f"{len(manifest.files)} files have the bytes they were saved with")
