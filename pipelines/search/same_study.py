"""Checks that trials are comparable: all settings that are not searched must be equal in a study."""

from typing import Any

from pipelines.run.earlier import differences, flat
from pipelines.run.run_dir import TOKENS
from pipelines.search.config import Sweep
from pipelines.search.search import Search
from tasks.errors import ConfigError

ROWS = "the fingerprint of the rows"


def rows_of(search: Search) -> dict[str, str]:
    """The fingerprint of a search's rows by content, as files may change under their names; {} where it varies them.

    Raises:
        DataError: a row that cannot be trained on.
    """
    if any(key.split(".")[0] in ("data", "model") for key in search.sweep.space):
        return {}
    from tasks.tokenize import tokens_of  # not at the top: the check before a worker reads no rows

    return {ROWS: tokens_of(search.run.data, search.run.model, TOKENS).fingerprint}


def settings_of(sweep: Sweep, shaping: dict[str, Any]) -> dict[str, str]:
    """The settings that the values of a study's trials depend on, by dotted key: space, objective, rest of the run.

    Args:
        sweep: the search.
        shaping: the settings that shape the adapter of the run that is varied.
    """
    searched = {"space": sweep.model_dump(mode="json")["space"], "objective": sweep.objective}
    settings = flat({"sweep": {**searched, "direction": sweep.direction}, **shaping})
    varied = tuple(f"{key}." for key in sweep.space)
    return {key: value for key, value in settings.items() if not f"{key}.".startswith(varied)}


def check_settings(name: str, earlier: dict[str, str] | None, now: dict[str, str]) -> None:
    """Refuses to resume a study whose trials would not compare. Rows compare where both sides know theirs.

    Raises:
        ConfigError: naming the keys, with both values.
    """
    if earlier is None:
        return
    keys = {*earlier, *now} - ({ROWS} - ({*earlier} & {*now}))
    changed = [key for key in keys if earlier.get(key) != now.get(key)]
    if not changed:
        return
    changed.sort(key=lambda key: (not key.startswith("sweep."), key))
    raise ConfigError(
        f"the study {name} is of other settings: {differences(changed, earlier, now)}; give another sweep.study=..."
    )
