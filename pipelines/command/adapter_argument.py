"""adapter=DIR: the commands that start from an adapter on disk take its base and rule from its own manifest."""

import logging
from collections.abc import Sequence
from pathlib import Path

from pipelines.config import Run, compose, compose_on, parse_override
from pipelines.config.form import check_overrides
from pipelines.config.override import override
from tasks.adapter.adapter_manifest import TEMPLATE, AdapterManifest, read_adapter_manifest
from tasks.artifact import file_digest
from tasks.data import Data
from tasks.errors import AdapterError, ConfigError, ModelError, one_line
from tasks.model import Model
from tasks.model.base import in_hub_cache, local_folder

log = logging.getLogger(__name__)

FILES = ("adapter_config.json", "adapters.safetensors")
"""The files of every adapter directory, ours and mlx-lm's."""


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
        raise ConfigError(f"adapter={given[0]}: it has no {' and no '.join(missing)}; {hint}")
    manifest = _manifest_of(folder)
    base = None if manifest is None else manifest.model
    named = {parse_override(o).key_or_group.lstrip("+") for o in rest if "=" in o}
    if base is None and not any(name.startswith("model") for name in named):
        raise ConfigError(f"adapter={given[0]}: it has no manifest.json that names its base; say model.path=...")
    if held_out:
        source = next((o.partition("=")[2] for o in rest if o.startswith(("data.test=", "data.valid="))), None)
        if source is None:
            compose(["data.train=none", *rest])  # a misspelt key is said first
            raise ConfigError("say what to evaluate on: data.valid=FILE")
        rows = [f"data.train={source}", "data.valid_share=0", "data.strict=false"]
    else:
        rows = ["data.train=none"]
    run = compose_on([*rows, *rest], "model", {} if base is None else base.model_dump(mode="json"))
    if base is not None and "model" not in named:
        run = run.model_copy(update={"model": _unasked(run.model, base, "model.path" in named)})
    if held_out and manifest is not None:
        run = run.model_copy(update={"data": _rendered_as_trained(run.data, folder, manifest)})
    return folder, run


def _manifest_of(folder: Path) -> AdapterManifest | None:
    """What an adapter's manifest says: data, however it is written."""
    try:
        return read_adapter_manifest(folder)
    except AdapterError as error:
        raise ConfigError(str(error)) from error


def _rendered_as_trained(data: Data, folder: Path, manifest: AdapterManifest) -> Data:
    """The data of a command, its rows rendered by the chat template that lies in the adapter's own directory.

    A template or variables that were typed are taken instead, and it is said that they differ.

    Raises:
        ConfigError: the directory's template is not the one that its manifest knows.
    """
    own, changes = folder / TEMPLATE, dict[str, object]()
    digest = manifest.files.get(TEMPLATE)
    if digest is not None and (own.is_symlink() or not own.is_file() or file_digest(own) != digest):
        raise ConfigError(f"adapter={folder}: its {TEMPLATE} is not the one that its manifest.json knows")
    if digest is not None and data.template is None:
        changes["template"] = str(own)
    elif data.template is not None and _digest(data.template) != digest:
        log.warning("data.template=%s is not the chat template that the adapter was trained with", data.template)
    if not data.template_kwargs:
        changes["template_kwargs"] = manifest.template_kwargs
    elif data.template_kwargs != manifest.template_kwargs:
        log.warning("data.template_kwargs is not what the adapter was trained with: %s", manifest.template_kwargs)
    return data.model_copy(update=changes)


def _digest(path: str) -> str | None:
    file = Path(path).expanduser()
    return file_digest(file) if file.is_file() else None


def _unasked(model: Model, base: Model, typed: bool) -> Model:
    """The base of a command, of which a manifest alone fetches nothing from a hub.

    Args:
        model: as the command would load it.
        base: as the manifest names it.
        typed: whether model.path was typed; the manifest's revision is that of its own hub id alone.

    Raises:
        ConfigError: the manifest names a hub id whose files are not on this machine.
    """
    if typed and model.path != base.path and model.revision == base.revision:
        return model.model_copy(update={"revision": None})
    try:
        is_hub = local_folder(model) is None
    except ModelError:
        return model  # said where it is loaded
    if is_hub and not typed and not in_hub_cache(model):
        at = "" if model.revision is None else f" at revision {one_line(model.revision)!r}"
        raise ConfigError(
            f"the adapter's manifest names {one_line(model.path)!r} of the hub{at} as its base, which is not on this "
            f"machine; to fetch it say {override('model.path', model.path)}"
        )
    return model


def with_form(adapter: str, rows: str | None, overrides: Sequence[str]) -> tuple[Path, Run]:
    """The adapter and its run from the fields of a web form, which may change keys of a run and nothing around them.

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
