"""Loads a base model and its tokenizer, from a local folder or the hub, frozen and with clear errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from tasks.artifact import file_digest, fingerprint, read_json
from tasks.errors import ModelError, one_line
from tasks.model.config import Model
from tasks.model.weight_files import only_these, weight_files

_SHARED: ContextVar[dict[Model, Any] | None] = ContextVar("shared", default=None)
TOKENIZER_FILES = ("*.json", "*.jinja", "tokenizer.model", "*.tiktoken", "*.txt")


@dataclass(frozen=True)
class Base:
    """A loaded base: a frozen `model` in evaluation mode, its `config`, and the record it came from."""

    model: nn.Module
    config: dict[str, Any]
    source: Model


def model_folder(source: Model) -> Path:
    """The local folder of a model; a hub id is downloaded (or found in the hub's cache).

    Raises:
        ModelError: no such folder, no such hub id, or a folder without config.json or weights.
    """
    folder = local_folder(source)
    if folder is None:
        folder = _download(source)
        _require_files(source, folder)
    return folder


def local_folder(source: Model) -> Path | None:
    """The folder that `source.path` names, complete; None where it is a hub id. Downloads and loads nothing.

    Raises:
        ModelError: a file, neither a folder nor a hub id, or a folder without config.json or weights.
    """
    folder = Path(source.path).expanduser()
    if any(len(part.encode()) > 255 for part in folder.parts):
        raise ModelError(f"model.path={one_line(source.path)!r}: no folder and no hub id has so long a name")
    if folder.is_dir():
        _require_files(source, folder)
        return folder
    if folder.is_file():
        raise ModelError(f"model.path={source.path!r}: this is a file; name the folder of a model")
    if source.path.startswith((".", "/", "~")) or source.path.count("/") != 1:
        raise ModelError(f"model.path={source.path!r}: there is no such folder, and it is no hub id (owner/name)")
    return None


def in_hub_cache(source: Model) -> bool:
    """Whether a hub id's files were fetched before, so that loading it fetches nothing that nobody asked for."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(source.path, "config.json", revision=source.revision), str)
    except (HFValidationError, OSError, ValueError):
        return False


def _require_files(source: Model, folder: Path) -> None:
    for pattern, what in (("config.json", "config.json"), ("model*.safetensors", "weights (model*.safetensors)")):
        if not list(folder.glob(pattern)):
            raise ModelError(f"model.path={source.path!r}: no {what} in {folder}")


@contextmanager
def shared_base() -> Iterator[None]:
    """Lets every base that is loaded within a block share its weights with those of the same record loaded before.

    Each is a module tree of its own, so that an adapter attached to one is in no other; the arrays are the same, read
    once. They live as long as the block; one inside another shares with it.
    """
    token = _SHARED.set({} if _SHARED.get() is None else _SHARED.get())
    try:
        yield
    finally:
        _SHARED.reset(token)


def load_base(source: Model) -> Base:
    """Loads the base lazily, casts or quantizes it as asked, and freezes every parameter.

    Raises:
        ModelError: missing or unreadable weights, an unknown architecture, a group size that does not divide.
    """
    base, shared = _load(source), _SHARED.get()
    if shared is not None:
        base.model.update(shared.setdefault(source, base.model.parameters()))
    return base


def _load(source: Model) -> Base:
    from mlx_lm.utils import load_model

    folder = model_folder(source)
    try:
        _check_config(folder, weights := weight_files(folder))
        with only_these(folder, {*weights.values()}) as tidy:
            model, config = load_model(tidy, lazy=True)
    except Exception as error:  # a family's code may raise anything for a config that it was not written for
        raise ModelError(f"model.path={source.path!r} cannot be loaded: {_reason(error)}") from error
    if not hasattr(model, "_no_grad"):
        nn.Module.__init__(model)  # RecurrentGemma's own constructor leaves it out, without which nothing is frozen
    if source.dtype != "auto":
        model.update(tree_map(_cast(getattr(mx, source.dtype)), model.parameters()))
    if source.quantize is not None:
        _quantize(model, config, source)
    model.eval()
    model.freeze()
    return Base(model=model, config=config, source=source)


def _check_config(folder: Path, weights: dict[str, str]) -> None:
    """Refuses a config.json that mlx-lm would reject in words of its own, or spend for ever building a model of.

    Raises:
        ValueError: the reason.
    """
    try:
        config = read_json(folder / "config.json")
    except ValueError as error:
        raise ValueError(f"config.json cannot be read: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ValueError("config.json names no model_type; is it the config of a model?")
    if config.get("model_file") is not None:
        raise ValueError(f"config.json names code of its own ({one_line(config['model_file'])}), which is never run")
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
        if isinstance(count := text.get(key), int) and count > len(weights):
            raise ValueError(f"config.json says {key}={count}, its files have {len(weights)} tensors")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return one_line(text if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}", 400)


def load_tokenizer(source: Model) -> Any:
    """mlx-lm's tokenizer wrapper: `.eos_token_ids` for generation, and itself a `transformers` tokenizer otherwise.

    Raises:
        ModelError: the folder has no tokenizer that can be read.
    """
    from mlx_lm.utils import load_config
    from mlx_lm.utils import load_tokenizer as load

    folder = model_folder(source)
    try:
        # The model names ends of an answer that its tokenizer does not, such as Gemma's <end_of_turn>.
        tokenizer = load(folder, eos_token_ids=load_config(folder).get("eos_token_id"))
    except Exception as error:
        raise ModelError(
            f"model.path={source.path!r}: no tokenizer can be read from {folder}: {_reason(error)}"
        ) from error
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):  # transformers makes one up where there are no files
        raise ModelError(f"model.path={source.path!r}: no tokenizer can be read from {folder}: it has no vocabulary")
    return tokenizer


def tokenizer_fingerprint(source: Model) -> str:
    """The fingerprint of every tokenizer file of the model, chat template included."""
    folder = model_folder(source)
    files = sorted({path for pattern in TOKENIZER_FILES for path in folder.glob(pattern)})
    skipped = ("config.json", "generation_config.json", "model.safetensors.index.json")
    return fingerprint({path.name: file_digest(path) for path in files if path.name not in skipped})


def _cast(dtype: mx.Dtype):
    return lambda x: x.astype(dtype) if mx.issubdtype(x.dtype, mx.floating) else x


def _quantize(model: nn.Module, config: dict[str, Any], source: Model) -> None:
    if "quantization" in config:
        raise ModelError(f"model.quantize={source.quantize}, but {source.path!r} is quantized already; leave it null")

    def fits(_path: str, module: nn.Module) -> bool:
        return hasattr(module, "to_quantized") and module["weight"].shape[-1] % source.group_size == 0

    before = model.parameters()
    assert source.quantize is not None
    nn.quantize(model, source.group_size, source.quantize, class_predicate=fits)
    if tree_map(lambda x: x.shape, before) == tree_map(lambda x: x.shape, model.parameters()):
        raise ModelError(f"no weight of {source.path!r} has rows that model.group_size={source.group_size} divides")


def _download(source: Model) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [*TOKENIZER_FILES, "model*.safetensors"]
    try:
        return Path(snapshot_download(source.path, revision=source.revision, allow_patterns=patterns))
    except Exception as error:
        reason = one_line(next(iter(str(error).splitlines()), type(error).__name__), 400)
        raise ModelError(
            f"model.path={source.path!r}: there is no such folder, and the hub gave none: {reason}; with "
            f"a network, hf download {source.path} keeps a copy; or name a folder"
        ) from error
