import json
from typing import Any, Literal

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from pydantic import ValidationError

from tasks.adapter import adapter_parameters, base_checksums, load_adapter, save_adapter
from tasks.batch import make_batch
from tasks.budget.demand import identity
from tasks.lora import RULES, LoRA, Rule
from tasks.lora.adapted import Adapted
from tasks.lora.attach import attach
from tasks.loss import MaskedCrossEntropy
from tasks.model import Model
from tasks.model.base import load_base
from tasks.optim import AdamW
from tasks.step.forward import Forward
from tasks.step.update import Update
from tests.tiny import same, token_ids


@pytest.mark.parametrize("kind", RULES)
def test_the_defaults_adapt_every_projection_of_every_block(kind):
    rule = RULES[kind]()
    assert (rule.targets, rule.last_blocks) == (("all",), None)


@pytest.mark.parametrize("given", ["q_proj", ["q_proj"], ("q_proj",)])
def test_targets_are_one_name_or_several(given):
    assert LoRA.model_validate({"targets": given}).targets == ("q_proj",)


def test_a_rule_survives_json():
    rule = LoRA(rank=4, alpha=2.0, dropout=0.1, targets=("q_proj", "v_proj"), last_blocks=2)
    assert LoRA.model_validate_json(json.dumps(rule.model_dump(mode="json"))) == rule


@pytest.mark.parametrize(
    "wrong",
    [
        *({"rank": 0}, {"rank": 1025}, {"rank": 8.0}, {"alpha": 0.0}, {"alpha": float("inf")}, {"dropout": 1.0}),
        *({"dropout": -0.1}, {"targets": []}, {"targets": [3]}, {"last_blocks": 0}, {"r": 8}, {"kind": "dora"}),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        LoRA.model_validate(wrong)


class Scaled(Adapted):
    """A projection whose outputs are scaled, as in IA3: no A, no B, nothing that a strength multiplies."""

    trained = ("ia3",)

    def __init__(self, linear: nn.Module):
        super().__init__()
        self.linear, self.ia3 = linear, mx.ones(linear["weight"].shape[0])

    def __call__(self, x: mx.array) -> mx.array:
        y = self.linear(x)  # pyright: ignore[reportCallIssue]
        return y * self.ia3.astype(y.dtype)


class Trained(Adapted):
    """A projection that is trained itself, as in full fine-tuning."""

    trained = ("weight",)

    def __init__(self, linear: nn.Module):
        super().__init__()
        self.weight = linear["weight"].astype(mx.float32)

    def __call__(self, x: mx.array) -> mx.array:
        return x @ self.weight.astype(x.dtype).T


class Toy(Rule):
    """A rule without a rank."""

    fine_tune_type = "toy"
    kind: Literal["toy"] = "toy"

    def wrap(self, linear: nn.Module, key: mx.array) -> Adapted:
        return Scaled(linear)

    @property
    def parameters(self) -> dict[str, Any]:
        return {}

    @classmethod
    def read(cls, parameters: dict[str, Any]) -> Rule:
        return cls()


class Full(Toy):
    """Another such."""

    fine_tune_type = "full"

    def wrap(self, linear: nn.Module, key: mx.array) -> Adapted:
        return Trained(linear)


@pytest.mark.parametrize("kind", [Toy, Full])
def test_a_rule_of_other_parameters_trains_and_loads(kind, model_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(RULES, "toy", kind)
    rule, source = kind(targets=("q_proj",)), Model(path=str(model_folder(dtype="bfloat16")))
    model, fresh = load_base(source).model, load_base(source).model
    base = model(token_ids())
    names = attach(model, rule)
    assert same(model(token_ids()), base)

    update = Update(Forward(model, MaskedCrossEntropy()), AdamW(lr=0.1))
    batch = make_batch([[(row, np.ones(24, np.float32))] for row in np.array(token_ids(2, 24))], [0, 1])
    masters: Any = model.trainable_parameters()
    done = update(masters, update.start(masters), [update._forward.arrays(batch)], mx.random.key(0), 0.1)
    model.update(done.masters)
    assert not same(model(token_ids()), base)

    saved = save_adapter(tmp_path / "a", model, rule=rule, source=source, step=1, seed=0)
    assert (saved.modules, saved.rank, saved.scale) == (len(names), 0, 1.0)
    assert load_adapter(tmp_path / "a", fresh) == saved
    assert same(fresh(token_ids()), model(token_ids()))
    assert not set(adapter_parameters(fresh)) & set(base_checksums(fresh))


def test_rules_of_other_parameters_do_not_share_a_prediction():
    class Cache:
        fingerprint = "rows"

    class Other(Toy):
        kind: Literal["other"] = "other"  # pyright: ignore[reportIncompatibleVariableOverride]

    model, cache = Model(path="base"), Cache()
    keys = [identity(cache, model, rule) for rule in (Toy(), Other(), LoRA())]  # pyright: ignore[reportArgumentType]
    assert len(set(keys)) == len(keys)
