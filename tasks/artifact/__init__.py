"""What flows between stages: records with a fingerprint, and directories on disk, complete or absent."""

from tasks.artifact.directory import (
    MANIFEST,
    atomic_directory,
    damaged_files,
    read_manifest,
    remove_directory,
    sweep,
)
from tasks.artifact.disk import is_disk_full
from tasks.artifact.file import file_digest, write_json, write_text
from tasks.artifact.record import Record, fingerprint, kinds

__all__ = [
    "MANIFEST",
    "Record",
    "atomic_directory",
    "damaged_files",
    "file_digest",
    "fingerprint",
    "is_disk_full",
    "kinds",
    "read_manifest",
    "remove_directory",
    "sweep",
    "write_json",
    "write_text",
]
