"""Runs one flow run for `pipelines.serve`: `python -m prefect.engine`, with MLX imported in the main thread first.

When Python ends, MLX frees what it compiled for the thread that imported it, and no other. Prefect's engine imports a
flow's module in a thread of its own; what the main thread compiled would then be freed after the interpreter, and
every served run would end in a segmentation fault (MLX 0.32.4).
"""

import runpy
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import tasks  # isort: skip  (first: it loads a fast BLAS in front of mlx.core's own)
import mlx.core

from tasks.patch import replaced

COMMAND = shlex.join([sys.executable, "-m", "pipelines.orchestrate.served_run"])
assert all((tasks, mlx.core)), "imported for what importing them does"


@contextmanager
def starting_served_runs() -> Iterator[None]:
    """Within the block Prefect's runner starts each flow run by this module instead of by its engine."""
    import prefect.runner.runner as runner
    from prefect.runner._starter_engine import EngineCommandStarter

    with replaced(runner, "EngineCommandStarter", partial(EngineCommandStarter, command=COMMAND)):
        yield


if __name__ == "__main__":
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
