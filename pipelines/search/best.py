"""Copies out the best adapter, evaluated and verified as the run says, with the command that makes it again."""

import json
import logging
import shlex
import shutil
import socket
from pathlib import Path
from typing import Any

from pipelines.config import Run, compose
from pipelines.config.override import override
from pipelines.orchestrate.as_task import AsStage
from pipelines.run.earlier import earlier_settings
from pipelines.run.gpu_lock import gpu_lock
from pipelines.run.stages import run_stages
from pipelines.search import space
from pipelines.search.search import Search
from tasks.artifact import atomic_directory, damaged_files, fingerprint, read_manifest
from tasks.errors import RunError, VerifyError
from tasks.verify import Verdict

log = logging.getLogger(__name__)
COPIED = ("config.yaml", "plan.json", "metrics.jsonl", "loss.svg", "report.md", "report.json", "tokens.html")


def command(search: Search, values: space.Values) -> str:
    """The command that makes a trial's adapter again, by itself.

    On one machine and the CPU backend that is the same file, byte for byte.
    """
    return shlex.join(["python", "-m", "pipelines.finetune", *search.changes(values, cheap=False)])


def copy_best(search: Search, row: dict[str, Any], as_stage: AsStage) -> dict[str, Any]:
    """Makes sure that the adapter of the best trial is evaluated and verified as the run says, and copies it to best/.

    Args:
        search: the search.
        row: the row of the best trial; see `trials.trials`.
        as_stage: as for `run_stages`.

    Returns:
        The report's entry of it: where it is, its digest, its own report's scores and verdict, and its command. For
        a trial of another machine only where it is and its command: that machine's worker copies it.

    Raises:
        VerifyError: it does not pass in full.
        RunError: the adapter is gone, or the copy differs from it.
    """
    out, number, changes = search.folder / "best", row["number"], search.changes(row["values"], cheap=False)
    identity = {"study": search.sweep.study, "trial": number, "run": fingerprint([changes, search.run])}
    if (read_manifest(out) or {}).get("of") == identity and not damaged_files(out):
        return read_manifest(out)["best"]  # type: ignore[index]
    folder = search.trial_folder(number)
    if not (folder / "adapter").is_dir():
        if row["where"] == f"{socket.gethostname()}:{folder}":
            raise RunError(
                f"the best adapter, of trial {number}, is gone from {folder}; make it again with: "
                f"{command(search, row['values'])}"
            )
        log.info("the best adapter, of trial %d, is on another machine: %s", number, row["where"])
        return {"adapter": None, "where": row["where"], "command": command(search, row["values"])}
    run = compose([*changes, override("run_dir", str(folder)), "resume=auto"])
    with gpu_lock(search.run.gpu_lock, folder, search.sweep.study):
        report = _done(run, folder) or run_stages(run, changes, as_stage)
    verdict = Verdict.model_validate(report["verify"], strict=False)
    if not verdict.passed:
        raise VerifyError(f"the best adapter, of trial {number} at {folder}, is not verified: {verdict.failures()}")
    best = {
        "adapter": str(out / "adapter"),
        "where": row["where"],
        "sha256": report["adapter"]["sha256"],
        "command": command(search, row["values"]),
        "evaluate": {k: v for k, v in report["evaluate"].items() if k != "samples"},
        "checks": [check["name"] for check in report["verify"]["checks"]],
    }
    with atomic_directory(out, {"kind": "best", "version": 1, "of": identity, "best": best}) as aside:
        shutil.copytree(folder / "adapter", aside / "adapter")
        for name in COPIED:
            shutil.copy2(folder / name, aside / name)
        (aside / "command.txt").write_text(best["command"] + "\n", encoding="utf-8")
    if damaged := damaged_files(Path(best["adapter"])):
        raise RunError(f"the copy at {best['adapter']} differs from its manifest: {', '.join(damaged)}")
    log.info("the best adapter, of trial %d, is verified and copied to %s", number, out)
    return best


def _done(run: Run, folder: Path) -> dict[str, Any] | None:
    """The trial's own report, if it was evaluated and verified as the run says and its adapter is unchanged."""
    if not (folder / "manifest.json").exists() or damaged_files(folder / "adapter"):
        return None
    earlier, now = earlier_settings(folder) or {}, run.model_dump(mode="json")
    if any(earlier.get(key) != now[key] for key in ("evaluate", "verify")):
        return None
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))
