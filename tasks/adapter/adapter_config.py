"""Reads adapter_config.json, mlx-lm's file: the size, strength and places of an adapter."""

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from tasks.artifact import first_problem, read_json
from tasks.errors import AdapterError, one_line
from tasks.lora import RULES, Rule

CONFIG, WEIGHTS = "adapter_config.json", "adapters.safetensors"
"""The two files of mlx-lm's layout."""


class Config(NamedTuple):
    """The content of adapter_config.json.

    Attributes:
        rule: the rule that attaches it, to every projection of every block.
        parameters: `lora_parameters` as they are in the file.
        last_blocks: the number of blocks at the end of the model that it is for; mlx-lm takes 0 or less for all.
    """

    rule: Rule
    parameters: dict[str, Any]
    last_blocks: int


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="allow")
    rank: Annotated[int, Field(ge=1, le=2**16)] = 1
    scale: FiniteFloat = 1.0
    keys: list[str] | None = None


class _Content(BaseModel):
    num_layers: Annotated[int, Field(gt=-(2**31), lt=2**31)]
    lora_parameters: _Parameters


def read_config(path: Path) -> Config:
    """Reads adapter_config.json through the rule whose layer it names.

    Raises:
        AdapterError: no such directory, or one without such a file, or a file with other content.
    """
    if not path.is_dir():
        raise AdapterError(f"adapter at {path}: there is no such directory")
    if missing := [name for name in (CONFIG, WEIGHTS) if not (path / name).is_file()]:
        raise AdapterError(f"adapter at {path}: it has no {' and no '.join(missing)}; is it an adapter's directory?")
    layers = {kind.fine_tune_type: kind for kind in reversed(RULES.values())}
    try:
        plain = read_json(path / CONFIG)
        layer = plain.get("fine_tune_type", "lora") if isinstance(plain, dict) else "lora"
        if not isinstance(layer, str) or layer not in layers:
            read = ", ".join(map(repr, layers))
            raise AdapterError(f"adapter at {path}: fine_tune_type is {one_line(repr(layer))}; only {read} is read")
        content = _Content.model_validate(plain)
        parameters = content.lora_parameters.model_dump(exclude_unset=True)
        return Config(layers[layer].read(parameters), parameters, content.num_layers)
    except ValidationError as error:
        raise AdapterError(f"adapter at {path}: {CONFIG} cannot be read: {first_problem(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"adapter at {path}: {CONFIG} cannot be read: {one_line(error)}") from error
