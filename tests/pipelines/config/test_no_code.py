"""Hydra's own settings name no code but Hydra's."""

import pytest

from pipelines.config import require_no_code
from tasks.errors import ConfigError


@pytest.mark.parametrize(
    "typed",
    [
        "+hydra.callbacks.x._target_=os.system",
        "+hydra.job_logging.handlers.x.class=os.system",
        "+hydra.job_logging.formatters.x.()=os.system",
        "hydra.launcher._target_=subprocess.run",
        "+hydra.callbacks.x._target_=hydra.experimental.callbacks.PickleJobInfoCallback",
    ],
)
def test_what_hydra_would_call_around_a_run_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match=r"hydra\..* names code to call"):
        require_no_code(["+experiment=quickstart", typed])


def test_hydra_s_own_parts_are_let_be() -> None:
    require_no_code(["+experiment=quickstart", "hydra.sweep.dir=x", "hydra/job_logging=disabled"])
