"""adapter=DIR: the commands that start from an adapter on disk take its base and rule from its own manifest."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.config import Run, compose
from pipelines.config.form import check_overrides
from pipelines.config.override import override
from tasks.artifact import read_manifest
from tasks.errors import ConfigError

FILES = ("adapter_config.json", "adapters.safetensors")
"""What every adapter directory holds, ours and mlx-lm's."""


def with_adapter(overrides: Sequence[str], *, held_out: bool = False) -> tuple[Path, Run]:
    """The adapter directory that `adapter=DIR` names, and the run of its base and of the other overrides.

    Args:
        overrides: as typed; `model.path=...` replaces the base that the manifest names.
        held_out: the command reads `data.valid` (or `data.test`) and nothing else of `data`.

    Raises:
        ConfigError: no adapter=DIR, one that is no adapter's directory, or nothing says what its base is.
    """
    given = [o.partition("=")[2] for o in overrides if o.startswith("adapter=")]
    rest = [o for o in overrides if not o.startswith("adapter=")]
    if len(given) != 1:
        raise ConfigError("say which adapter: adapter=outputs/runs/NAME/TIME-ID/adapter")
    folder = Path(given[0]).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"adapter={given[0]}: there is no such directory")
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        inside = folder / "adapter"
        hint = f"did you mean adapter={inside}?" if inside.is_dir() else "is it an adapter's directory?"
        raise ConfigError(f"adapter={given[0]}: it holds no {' and no '.join(missing)}; {hint}")
    base = (read_manifest(folder) or {}).get("model")
    if base is None and not any(o.startswith("model") for o in rest):
        raise ConfigError(f"adapter={given[0]}: it has no manifest.json that names its base; say model.path=...")
    keys = [override(f"model.{key}", value) for key, value in (base or {}).items()]
    if held_out:
        source = next((o.partition("=")[2] for o in rest if o.startswith(("data.test=", "data.valid="))), None)
        if source is None:
            compose([*keys, "data.train=none", *rest])  # a misspelt key is said first
            raise ConfigError("say what to evaluate on: data.valid=FILE")
        keys += [f"data.train={source}", "data.valid_share=0", "data.strict=false"]
    else:
        keys += ["data.train=none"]
    return folder, compose([*keys, *rest])


def with_form(adapter: str, rows: str | None, overrides: Sequence[str]) -> tuple[Path, Run]:
    """The same, from the fields of a web form, which may change the keys of a run and nothing around them.

    Args:
        adapter: its directory.
        rows: the file to evaluate on; None where no rows are read.
        overrides: one change an item.

    Raises:
        ConfigError: as above, or an override reaches beyond the keys of a run.
    """
    given = [] if rows is None else [override("data.valid", rows)]
    return with_adapter([f"adapter={adapter}", *check_overrides([*given, *overrides])], held_out=rows is not None)


def adapter_name(adapter: str) -> str:
    """What an adapter is called in the UI: its run.

    Example:
        >>> adapter_name("outputs/runs/quickstart/20261122-171921-9e85/adapter")
        'quickstart/20261122-171921-9e85'
        >>> adapter_name("/models/mine")
        'mine'
    """
    parts = Path(adapter).parts
    return "/".join(parts[-3:-1]) if parts[-1:] == ("adapter",) and len(parts) > 2 else "/".join(parts[-1:])
