"""Publishes pages and tables as artifacts of the Prefect flow run, where a server is there to take them."""

import logging
from collections.abc import Sequence

from pipelines.orchestrate.outcome import is_lost
from pipelines.report.markdown import cell

log = logging.getLogger(__name__)


def publish_page(key: str, markdown: str, description: str, figures: Sequence[dict[str, str]] = ()) -> None:
    """A page in Markdown and, where there are any, a table of figures.

    Tried once, since the end of a flow waits for it: where the server is lost the page is missing, the files are not.

    Args:
        key: the page's name in the UI.
        markdown: its content.
        description: it in one line.
        figures: the rows of the table.
    """
    from prefect.artifacts import create_markdown_artifact, create_table_artifact
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            create_markdown_artifact(key=key, markdown=markdown, description=description)
            if figures:
                table = [{name: cell(value) for name, value in row.items()} for row in figures]
                create_table_artifact(key="figures", table=table, description="the figures of the run")
    except Exception as error:
        if not is_lost(error):
            raise
        log.warning("the Prefect server does not answer (%s); giving it a minute to come back", error)
