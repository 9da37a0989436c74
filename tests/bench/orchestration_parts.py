"""The parts of what Prefect costs, beside a running server: milliseconds each, as one JSON line."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

PARTS = dict[str, float]()
BEGAN = time.perf_counter()


def _part(name: str, work: Callable[[], Any], times: int = 1) -> None:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    PARTS[name] = round(statistics.median(took), 1)


def main() -> None:
    """Times each part."""
    _part("import prefect", lambda: __import__("prefect"))
    from prefect import flow, task
    from prefect.artifacts import (
        create_markdown_artifact,
        create_progress_artifact,
        create_table_artifact,
        update_progress_artifact,
    )
    from prefect.client.orchestration import get_client
    from prefect.logging import get_run_logger
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    @task
    def stage() -> None:
        """Nothing."""

    @flow
    def stages(count: int) -> None:
        for _ in range(count):
            stage()

    @flow
    def writes() -> None:
        bar: Any = create_progress_artifact(progress=0.0, key="training")
        _part("create_progress_artifact", lambda: create_progress_artifact(progress=0.0, key="other"), 10)
        _part("update_progress_artifact", lambda: update_progress_artifact(bar, progress=1.0), 20)
        _part("create_markdown_artifact, 40 KB", lambda: create_markdown_artifact("x" * 40_000, key="page"), 10)
        _part("create_table_artifact", lambda: create_table_artifact([{"a": "b"}] * 10, key="table"), 10)
        _part("a line of log", lambda: get_run_logger().debug("said"), 100)

    def healthy() -> None:
        with get_client(sync_client=True) as client:
            client.api_version()

    _part("a client and its first answer", healthy)
    _part("another client", healthy, 5)
    _part("the first flow, no task", lambda: stages(0))
    _part("a flow, no task (up to 1 s of it waits for the heartbeat)", lambda: stages(0), 5)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        _part("a flow, no task, no heartbeat", lambda: stages(0), 5)
        _part("a flow of 6 tasks, no heartbeat", lambda: stages(6), 5)
    writes()
    print(json.dumps(PARTS))


if __name__ == "__main__":
    main()
