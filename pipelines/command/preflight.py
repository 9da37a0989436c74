"""Checks in a second what needs no heavy import: the configuration, its files, its directory.

It runs before Prefect, MLX-LM and the tokenizers are imported, so that a typo costs a second and leaves nothing behind.
"""

from collections.abc import Sequence
from pathlib import Path

from pipelines.config import Run, compose
from pipelines.run.folder import check_folder
from tasks.data.source.read import existing, is_hub
from tasks.errors import ConfigError, GraftlineError
from tasks.model.base import local_folder


def preflight(overrides: Sequence[str]) -> Run:
    """The run that the overrides describe.

    Raises:
        ConfigError: every problem at once: of the configuration, or else of the files that it names.
    """
    run = compose(overrides)
    problems = []
    try:
        local_folder(run.model)
    except GraftlineError as error:
        problems.append(str(error))
    for key in ("train", "valid", "test"):
        for path in (source.path for source in run.data.sources(key) if not is_hub(source.path)):
            try:
                existing(path)
            except GraftlineError as error:
                problems.append(f"data.{key}: {error}")
    if run.train.steps is not None:
        try:
            run.optim.rate(0, run.train.steps)
        except GraftlineError as error:
            problems.append(str(error))
    if run.run_dir is not None:
        try:
            check_folder(Path(run.run_dir).expanduser().absolute())
        except GraftlineError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError(*problems)
    return run
