import json

import pytest
from pydantic import ValidationError

from tasks.lora import RULES, LoRA


@pytest.mark.parametrize("kind", RULES)
def test_the_defaults_adapt_every_projection_of_every_block(kind):
    rule = RULES[kind]()
    assert (rule.targets, rule.last_blocks, rule.dropout) == (("all",), None, 0.0)


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
