"""The pretrained 260K-parameter Llama of ../shared/data, its rows and the LoRA that the golden numbers are of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten
from mlx_lm.tuner.lora import LoRALinear
from mlx_lm.utils import load_model
from tokenizers import Tokenizer

from tasks.loss import LossSum, masked_cross_entropy


def named_arrays(tree: Any) -> dict[str, mx.array]:
    """The arrays of a tree by their path, in the tree's order."""
    return dict(cast(list[tuple[str, mx.array]], tree_flatten(tree)))


class Golden(NamedTuple):
    expected: dict[str, Any]
    model: Any
    rows: list[list[int]]


def load_golden(shared_data: Path) -> Golden:
    expected = json.loads((shared_data / "expected" / "stories260k_golden.json").read_text())
    folder = shared_data / expected["model"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    lines = (shared_data / "datasets" / "wikisql_text" / "valid.jsonl").read_text().splitlines()
    rows = [[*tokenizer.encode(json.loads(line)["text"]).ids, 2][:512] for line in lines[: len(expected["rows"])]]
    return Golden(expected, load_model(folder)[0], rows)


def attach_lora(golden: Golden) -> nn.Module:
    """The golden LoRA: rank 4 on q and v, A from a sine, B zero."""
    model, rank = golden.model, golden.expected["lora"]["rank"]
    model.freeze()
    for i, layer in enumerate(model.layers):
        for k, name in enumerate(["q_proj", "v_proj"]):
            lora = LoRALinear.from_base(layer.self_attn[name], r=rank, scale=golden.expected["lora"]["scale"])
            n_in = lora.lora_a.shape[0]
            entry = mx.arange(n_in * rank).reshape(n_in, rank)
            lora.lora_a = mx.sin(0.37 * entry + 1.3 * i + 0.7 * k) / n_in**0.5
            setattr(layer.self_attn, name, lora)
    return model


def padded_batch(golden: Golden) -> tuple[mx.array, mx.array]:
    """Rows 0..3 right padded with 0, and the mask of real targets."""
    rows = golden.rows[:4]
    width = max(map(len, rows))
    ids_BT = mx.array([row + [0] * (width - len(row)) for row in rows])
    mask_BT = mx.array([[1.0] * (len(row) - 1) + [0.0] * (width - len(row)) for row in rows])
    return ids_BT, mask_BT


def loss_of(model: nn.Module) -> Callable[[list[mx.array], mx.array, mx.array], LossSum]:
    """The loss as a function of the trainable parameters, flat and in their own order."""
    names = list(named_arrays(model.trainable_parameters()))

    def loss(parameters: list[mx.array], ids_BT: mx.array, mask_BT: mx.array) -> LossSum:
        held = model.trainable_parameters()
        model.update(tree_unflatten(list(zip(names, parameters, strict=True))))
        try:
            return masked_cross_entropy(model(ids_BT[:, :-1]), ids_BT[:, 1:], mask_BT)
        finally:
            model.update(held)

    return loss
