"""Artifacts, which flow between stages: records with a fingerprint, and directories on disk, complete or absent."""

from tasks.artifact.directory import (
    MANIFEST,
    atomic_directory,
    clear_leftovers,
    damaged_files,
    read_manifest,
    remove_directory,
)
from tasks.artifact.disk import disk_problem, is_disk_full, kept_at
from tasks.artifact.file import file_digest, write_json, write_text
from tasks.artifact.json_file import read_json
from tasks.artifact.record import Record, fingerprint, first_problem, kinds
from tasks.artifact.tensor_file import TensorInfo, read_tensor_info

__all__ = [
    "MANIFEST",
    "Record",
    "TensorInfo",
    "atomic_directory",
    "clear_leftovers",
    "damaged_files",
    "disk_problem",
    "file_digest",
    "fingerprint",
    "first_problem",
    "is_disk_full",
    "kept_at",
    "kinds",
    "read_json",
    "read_manifest",
    "read_tensor_info",
    "remove_directory",
    "write_json",
    "write_text",
]
