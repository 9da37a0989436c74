"""verify: an adapter directory, from disk only -> a verdict."""

import logging
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapter import Adapter
from tasks.artifact import MANIFEST, Record, write_json
from tasks.check import CHECKS, Finding, Subject
from tasks.check.subject import LONGEST
from tasks.errors import GraftlineError, Interrupted
from tasks.model import Model
from tasks.model.base import shared_base
from tasks.settings import Check, Verify

log = logging.getLogger(__name__)
NOT_RUN = "not run: its files are damaged"


class CheckResult(Record):
    """One check: its name, whether it passed, and what it saw."""

    name: Check
    passed: bool
    detail: str


class Verdict(Record):
    """The results of all checks of an adapter; the `verify` part of report.json."""

    passed: bool
    checks: tuple[CheckResult, ...]

    def failures(self) -> str:
        """The failed checks in one line; those that failed for one reason together."""
        reasons: dict[str, list[str]] = {}
        for check in self.checks:
            if not check.passed:
                reasons.setdefault(check.detail, []).append(check.name)
        return "; ".join(f"{', '.join(names)}: {detail}" for detail, names in reasons.items())


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE)
def verify(adapter: Adapter | Path, model: Model, settings: Verify, out: Path | None = None) -> Verdict:
    """Runs every check and gives the verdict; a check that cannot load the adapter fails with the loader's words.

    The files' bytes are checked first: on damaged ones nothing else is run.

    Args:
        adapter: the adapter, or its directory.
        model: the base that it was trained on.
        settings: the checks to run.
        out: the file to write, verdict.json; None writes nothing.
    """
    folder = Path(adapter.path) if isinstance(adapter, Adapter) else adapter
    subject = Subject(folder, model, longest=max(LONGEST, settings.probe_tokens))
    findings: dict[Check, Finding] = {}
    with shared_base():  # one of the checks loads the base again, which would take its memory twice
        for name in sorted(settings.checks, key=lambda check: check != "files"):
            damaged = "files" in findings and not findings["files"].passed and (folder / MANIFEST).exists()
            findings[name] = Finding(False, NOT_RUN) if damaged else _run(name, subject)
            log.log(logging.INFO if findings[name].passed else logging.ERROR, "%s: %s", name, findings[name].detail)
    results = [
        CheckResult(name=name, passed=findings[name].passed, detail=findings[name].detail) for name in settings.checks
    ]
    verdict = Verdict(passed=all(result.passed for result in results), checks=tuple(results))
    if out is not None:
        write_json(out, verdict.model_dump(mode="json"))
    return verdict


def _run(name: Check, subject: Subject) -> Finding:
    try:
        return CHECKS[name](subject)
    except Interrupted:
        raise
    except GraftlineError as error:
        return Finding(False, str(error))
    except Exception as error:  # an exotic model may fail in any way, which is a finding about it
        log.debug("%s", name, exc_info=True)
        return Finding(False, f"the check itself failed ({type(error).__name__}: {error})")
