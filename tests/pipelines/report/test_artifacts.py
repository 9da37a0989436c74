"""Artifacts: a lost server costs the page and a line; a mistake of ours is raised."""

import logging
from typing import Any

import pytest
from httpx import ConnectError

from pipelines.report.artifacts import publish_page


def test_the_page_and_its_figures_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    for kind in ("markdown", "table"):
        monkeypatch.setattr(f"prefect.artifacts.create_{kind}_artifact", lambda **fields: sent.append(fields))
    publish_page("verdict", "# page", "verified")
    publish_page("report", "# page", "verified", [{"what": "steps", "value": "3"}])
    assert [fields["key"] for fields in sent] == ["verdict", "report", "figures"]
    assert sent[2]["table"] == [{"what": "steps", "value": "3"}]


def test_a_lost_server_is_a_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def lost(**_: Any) -> None:
        raise ConnectError("nobody answers")

    monkeypatch.setattr("prefect.artifacts.create_markdown_artifact", lost)
    with caplog.at_level(logging.WARNING):
        publish_page("report", "# page", "verified")
    assert "the Prefect server does not answer (nobody answers)" in caplog.text


def test_another_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefect.artifacts.create_markdown_artifact", lambda **_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publish_page("report", "# page", "verified")
