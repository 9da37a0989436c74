"""Runs a command line: overrides in, one clear line and an exit status out.

Plain overrides are composed here. Hydra's own flags (`--help`, `--cfg job`, `--info`, `-m`, tab completion) are
handed to Hydra, which composes the same groups and calls back for each job.
"""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import hydra

from pipelines.command.multirun import Job, own_folder, summarize
from pipelines.command.output import survive_closed_pipes
from pipelines.config import (
    CONF,
    compose_plain,
    job_overrides,
    lenient,
    multirun_folder,
    require_no_code,
    without_sweeps,
)
from pipelines.config.shell_words import tidy
from pipelines.report.terminal_text import harmless
from tasks.errors import ConfigError, GraftlineError, Interrupted

Check = Callable[[Sequence[str]], Any]
_VALUED = {"--cfg", "-c", "--package", "-p", "--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd"}
_INFO = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}
_COMPLETION = {"--shell-completion", "-sc"}
_HELPS = {"--help", "-h", "--hydra-help", "--version"}
_ELSEWHERE = ("--config-name", "-cn", "--config-path", "-cp", "--config-dir", "-cd")
"""Flags by which files of another folder would be read, and the code that they name called."""


def command(module: str, check: Check, *, flags: bool = True, keys: bool = True) -> NoReturn:
    """Runs `main(overrides)` of a module and exits: 0 done, 1 the input or the result is at fault, 130/143 stopped.

    Args:
        module: where `main` is; imported only after `check` passed, so that a typo costs no heavy import.
        check: raises GraftlineError for overrides that cannot be run.
        flags: whether Hydra's own flags make sense for this command.
        keys: whether it takes the keys of a run, which --help lists.
    """
    survive_closed_pipes()
    try:
        arguments = tidy(sys.argv[1:])
    except GraftlineError as error:
        _say(error)
        sys.exit(_code(error))
    helps = bool({"--help", "-h"} & set(arguments))
    if helps:
        print(sys.modules["__main__"].__doc__, flush=True)
        if not keys:
            sys.exit(0)
    try:
        if helps or (flags and any(argument.startswith("-") for argument in arguments)):
            _with_hydra(module, check, arguments)
        else:
            _run(module, check, arguments)
    except GraftlineError as error:
        _say(error)
        sys.exit(_code(error))
    sys.exit(0)


def _run(module: str, check: Check, overrides: Sequence[str]) -> None:
    try:
        check(overrides)
        importlib.import_module(module).main(overrides)
    except GraftlineError:
        raise
    except KeyboardInterrupt:
        raise Interrupted("stopped at once, what was saved before is kept", 2) from None
    except Exception as error:
        if os.environ.get("GRAFTLINE_TRACEBACK"):
            traceback.print_exc()
        doing = " in ".join(getattr(error, "__notes__", [])) or "running the pipeline"
        hint = "" if os.environ.get("GRAFTLINE_TRACEBACK") else " (GRAFTLINE_TRACEBACK=1 shows where)"
        raise GraftlineError(
            f"crashed while {doing}: {type(error).__name__}: {' '.join(str(error).split())}{hint}"
        ) from error


def _with_hydra(module: str, check: Check, arguments: Sequence[str]) -> None:
    """Hydra parses the flags; each job comes back as its list of overrides."""
    jobs: list[Job] = []  # of a multirun

    def job(_: Any) -> None:
        overrides = job_overrides()
        if module == "pipelines.finetune" and (folder := multirun_folder()):
            jobs.append(own_folder(overrides, folder))
            overrides = jobs[-1].overrides
        try:
            _run(module, check, overrides)
        except GraftlineError as error:
            _say(error)
            sys.exit(_code(error))  # Hydra prints a traceback for an exception, none for an exit

    kept, overrides = _split(arguments)
    if not _COMPLETION & set(arguments):
        if elsewhere := [flag for flag in kept if flag.startswith(_ELSEWHERE)]:
            raise ConfigError(f"{elsewhere[0]}: a run is composed of the files of {CONF} alone; put yours there")
        if not _HELPS & set(kept):
            compose_plain(without_sweeps(overrides))  # a mistake is said in our words, not in twelve lines of Hydra's
            require_no_code(overrides)
        sys.argv = [sys.argv[0], *kept, *lenient(overrides)]
    elif line := os.environ.get("COMP_LINE"):  # Hydra knows `python FILE` and `APP`, not `python -m MODULE`
        os.environ["COMP_LINE"] = re.sub(r"^.*?-m\s+pipelines\.\w+", "graftline", line)
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
    finally:
        if jobs:
            summarize(jobs)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values, and the overrides."""
    kept, overrides, previous = [], [], ""
    for argument in arguments:
        is_value = previous in _VALUED or (previous in ("--info", "-i") and argument in _INFO)
        (kept if argument.startswith("-") or is_value else overrides).append(argument)
        previous = argument
    return kept, overrides


def _say(error: GraftlineError) -> None:
    print(f"{'stopped' if isinstance(error, Interrupted) else 'error'}: {harmless(error)}", file=sys.stderr)


def _code(error: GraftlineError) -> int:
    return 128 + error.signum if isinstance(error, Interrupted) else 1
