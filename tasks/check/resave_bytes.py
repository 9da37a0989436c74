"""Checks that the loaded adapter, saved again, is the same file byte for byte."""

import tempfile
from pathlib import Path

from tasks.adapter import adapter_parameters, read_adapter, write_weights
from tasks.artifact import file_digest
from tasks.check.subject import Finding, Subject


def check(subject: Subject) -> Finding:
    """Compares the SHA-256 of the weights files."""
    was = read_adapter(subject.adapter).sha256
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapters.safetensors"
        write_weights(path, adapter_parameters(subject.model))
        now = file_digest(path)
    same = "the same" if was == now else f"now {now[:12]}"
    return Finding(was == now, f"sha256 {was[:12]}, saved again: {same}")
