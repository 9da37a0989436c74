"""The server that serve starts is this machine's alone, by settings that the shipped file of settings has too."""

from pathlib import Path

from pipelines.deploy.own_server import safe_settings

ENV = Path(__file__).resolve().parents[3] / "examples" / "server" / "server.env"


def test_the_safe_settings_are_those_of_the_shipped_file() -> None:
    lines = ENV.read_text(encoding="utf-8").splitlines()
    shipped = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    settings = safe_settings("http://127.0.0.1:4200")
    plain = {name: value for name, value in settings.items() if not value.startswith("http")}
    assert plain.items() <= shipped.items()
    assert {name for name in settings if name != "PREFECT_UI_API_URL"} <= {*shipped}
