"""Starts a Prefect server with the safe settings for `pipelines.serve`, where none is configured; it ends with serve.

It asks nothing and leaves no configuration behind: its address and password are in this process's environment alone,
so that other commands go on as before. Runs and schedules stay in Prefect's database, for the next time.
"""

import os
import secrets
from pathlib import Path

from pipelines.orchestrate.private_server import free_port, start, wait

PORT = 4200
SECRET = Path("~/.config/graftline/server.secret")
"""A password of one's own, as examples/server asks for it; without the file there is a new one each time."""


def safe_settings(url: str) -> dict[str, str]:
    """The server's settings: this machine alone, no page of another site, nothing sent anywhere.

    Example:
        >>> safe_settings("http://127.0.0.1:4200")["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
        'http://127.0.0.1:4200'
    """
    return {
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    }


def start_own_server() -> str:
    """Starts the server and waits for it; gives what a person needs to know of it, in lines.

    Raises:
        RunError: it ended, or does not answer in time.
    """
    secret = Path(os.environ.get("GRAFTLINE_SERVER_SECRET", SECRET)).expanduser()
    password = secret.read_text(encoding="utf-8").strip() if secret.is_file() else f"graftline:{secrets.token_hex(8)}"
    port = free_port(int(os.environ.get("GRAFTLINE_PORT", PORT)))
    url = f"http://127.0.0.1:{port}"
    start(port, password, safe_settings(url))
    os.environ.setdefault("PREFECT_RUNNER_POLL_FREQUENCY", "2")
    wait()
    shown = f"the line of {secret}" if secret.is_file() else password
    return (
        f"a Prefect server runs beside this command and ends with it: open {url}, the password is {shown}\n"
        "examples/server/README.md says how to keep one running"
    )
