"""Every file of the adapter holds the bytes that its manifest names."""

from tasks.artifact import damaged_files, read_manifest
from tasks.check.subject import Finding, Subject


def check(subject: Subject) -> Finding:
    """Fails where there is no manifest: nothing then says what the files should hold."""
    manifest = read_manifest(subject.adapter)
    if manifest is None:
        return Finding(False, "there is no manifest.json, so nothing says what the files should hold")
    if damaged := damaged_files(subject.adapter):
        return Finding(False, f"{', '.join(damaged)}: other bytes than when it was saved, or missing")
    return Finding(True, f"{len(manifest['files'])} files hold the bytes they were saved with")
