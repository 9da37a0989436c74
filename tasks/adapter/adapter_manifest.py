"""Reads manifest.json of an adapter directory as data that somebody else may have written."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.artifact import MANIFEST, first_problem, read_json
from tasks.errors import AdapterError
from tasks.model import Model

TEMPLATE = "chat_template.jinja"
"""The chat template of an adapter that was trained with another one than its base's, beside the manifest."""


class AdapterManifest(BaseModel):
    """The keys of a manifest that are used; its other keys record how the adapter was made.

    Attributes:
        files: the digest of each file of the directory.
        tensors: the digest of each tensor.
        step: optimizer steps it was trained for.
        model: where its base came from.
        template_kwargs: the variables of the chat template that it was trained with.
        answer_ends: texts that an answer was trained to end with, the most frequent first: a server must stop there.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, protected_namespaces=())

    files: dict[str, str]
    tensors: dict[str, str] = {}
    step: Annotated[int, Field(ge=0, lt=2**53)] = 0
    model: Model | None = None
    template_kwargs: dict[str, Any] = {}
    answer_ends: list[str] = []


def read_adapter_manifest(folder: Path) -> AdapterManifest | None:
    """The manifest of an adapter directory; None where there is none, as in one of mlx-lm's.

    Raises:
        AdapterError: there is one, and it cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists() and not path.is_symlink():
        return None
    try:
        return AdapterManifest.model_validate(read_json(path))
    except ValidationError as error:
        raise AdapterError(f"adapter at {folder}: {MANIFEST} cannot be read: {first_problem(error)}") from error
    except ValueError as error:
        raise AdapterError(f"adapter at {folder}: {MANIFEST} cannot be read: {error}") from error
