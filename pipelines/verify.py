"""verify: checks any adapter directory again, from disk only.

python -m pipelines.verify adapter=outputs/runs/NAME/TIME-ID/adapter
"""

from pipelines.adapter_argument import with_adapter
from pipelines.command import command

if __name__ == "__main__":
    command("pipelines.verify", with_adapter, flags=False)

import logging
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tasks.errors import VerifyError
from tasks.verify import verify


def main(overrides: Sequence[str]) -> None:
    """The command: prints every check, exits 1 when one fails."""
    adapter, run = with_adapter(overrides)
    log = logging.getLogger("tasks")
    level = log.level
    log.setLevel(logging.CRITICAL)  # the table says it all
    try:
        verdict = verify.fn(adapter, run.model, run.verify)
    finally:
        log.setLevel(level)
    table = Table("check", "", "what it saw")
    for check in verdict.checks:
        table.add_row(check.name, "[green]passed" if check.passed else "[red]failed", check.detail)
    Console().print(table)
    if not verdict.passed:
        raise VerifyError(f"the adapter at {adapter} is not verified: {verdict.failures()}")
