"""Configurations of every family of mlx-lm that can be built tiny."""

import dataclasses
import importlib
import pkgutil
from typing import Any

import mlx.core as mx
import mlx_lm.models
from mlx.utils import tree_map

from tests.families.own_keys import OWN
from tests.families.shared_keys import SHARED

NO_MODELS = {
    *("base", "cache", "activations", "gated_delta", "mla", "olmo", "pipeline", "rope_utils", "ssm", "switch_layers"),
    *("bitlinear_layers", "phi3small"),
}
"""Modules of layers; `olmo`, whose import ends the process; `phi3small`, which writes beyond a small vocabulary."""


def names() -> list[str]:
    """The modules of mlx-lm's models, sorted; some of them define no model of their own."""
    return sorted(info.name for info in pkgutil.iter_modules(mlx_lm.models.__path__) if info.name not in NO_MODELS)


def config_of(family: str) -> dict[str, Any]:
    """The configuration of a tiny model, as its config.json has it."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    known = {field.name for field in dataclasses.fields(module.ModelArgs)}
    config = {name: value for name, value in SHARED.items() if name in known} | OWN.get(family, {})
    if "text_config" in known:
        config["text_config"] = {**SHARED, **OWN.get(family, {}), "model_type": family}
    return {**config, "model_type": family, "eos_token_id": [256, 258]}


def build(family: str) -> Any:
    """A random model of a family; raises what its constructor or its first call raises."""
    module = importlib.import_module(f"mlx_lm.models.{family}")
    mx.random.seed(0)
    model = module.Model(module.ModelArgs.from_dict(config_of(family)))
    if family == "talkie":  # whose gains begin at zero, so that every logit would be
        model.update(tree_map(lambda array: array if mx.any(array) else mx.ones_like(array), model.parameters()))
    mx.eval(model(mx.array([[1, 2, 3, 4, 5]])))
    return model
