"""The pretraining of the starter model: all parameters, float32, on the base skills and a little plain text."""

import math
import time
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import cast

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm.models.qwen3 import Model, ModelArgs
from transformers import PreTrainedTokenizerBase

from examples.starter.language import BASE_SKILLS, Pair, chat, story
from examples.starter.tokenizer import END_OF_TEXT, IGNORED, LONGEST, SYSTEM, VOCABULARY, encode_chat

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 192,
    "max_position_embeddings": LONGEST,
    "model_type": "qwen3",
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
    "vocab_size": VOCABULARY,
}


def draw(skill: Callable[[Random], Pair], rng: Random, *, held_out: bool) -> Pair:
    """A pair of a skill; one prompt in twenty, told by its checksum, is held out of pretraining."""
    while True:
        prompt, answer = skill(rng)
        if (zlib.crc32(prompt.encode()) % 20 == 0) == held_out:
            return prompt, answer


def pretraining_row(tokenizer: PreTrainedTokenizerBase, rng: Random) -> tuple[list[int], list[int]]:
    """One row: a chat of one or two turns with or without a system message, or a story as plain text."""
    kind = rng.random()
    if kind < 0.05:
        ids = tokenizer.encode(f"{story(rng)}{END_OF_TEXT}")
        return ids, [IGNORED, *ids[1:]]
    skills = rng.choices(list(BASE_SKILLS.values()), k=2 if kind < 0.10 else 1)
    pairs = [draw(skill, rng, held_out=False) for skill in skills]
    return encode_chat(tokenizer, chat(pairs, SYSTEM if kind > 0.9 else None))


def pretraining_batches(
    tokenizer: PreTrainedTokenizerBase, rng: Random, rows: int, pool: int = 20
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Right-padded inputs and next-token targets, both (rows, length), without end.

    The rows of `pool` batches are drawn together and sorted by length, so that little is padded.
    """
    while True:
        drawn = sorted((pretraining_row(tokenizer, rng) for _ in range(rows * pool)), key=lambda row: len(row[0]))
        batches = [drawn[start : start + rows] for start in range(0, len(drawn), rows)]
        rng.shuffle(batches)
        for batch in batches:
            length = len(batch[-1][0])
            ids_BT = np.full((rows, length), tokenizer.pad_token_id, dtype=np.int32)
            targets_BT = np.full((rows, length), IGNORED, dtype=np.int32)
            for i, (ids, targets) in enumerate(batch):
                ids_BT[i, : len(ids)] = ids
                targets_BT[i, : len(ids)] = targets
            yield ids_BT[:, :-1], targets_BT[:, 1:]


def named_weights(model: Model) -> dict[str, mx.array]:
    """All weights, sorted by name."""
    return dict(sorted(cast(dict[str, mx.array], tree_flatten(model.parameters(), destination={})).items()))


def initialize(model: Model, seed: int) -> None:
    """Normal weights of variance 1 / inputs, less for the two that write to the residual stream; in sorted order."""
    key = mx.random.key(seed)
    weights = []
    for name, value in named_weights(model).items():
        if value.ndim == 2:
            key, subkey = mx.random.split(key)
            scale = 1 / math.sqrt(value.shape[1])
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                scale /= math.sqrt(2 * len(model.layers))
            value = mx.random.normal(value.shape, key=subkey) * scale
        weights.append((name, value))
    model.load_weights(weights)
    mx.eval(model.parameters())


def mean_loss(model: Model, inputs_BT: mx.array, rows_N: mx.array, targets_N: mx.array) -> mx.array:
    """Cross entropy over the N supervised positions; the head is computed only there."""
    hidden_BTD = model.model(inputs_BT)
    hidden_ND = hidden_BTD.reshape(-1, hidden_BTD.shape[-1])[rows_N]
    logits_NV = model.model.embed_tokens.as_linear(hidden_ND)
    return nn.losses.cross_entropy(logits_NV, targets_N, reduction="mean")


def pretrain(tokenizer: PreTrainedTokenizerBase, *, seed: int, steps: int, batch: int, peak_rate: float) -> Model:
    """Trains all parameters in float32: AdamW, linear warm-up, then cosine decay to 0."""
    model = Model(ModelArgs.from_dict(CONFIG))
    initialize(model, seed)
    warmup = min(100, steps // 10)
    rate = optim.join_schedules(
        [optim.linear_schedule(1e-7, peak_rate, warmup), optim.cosine_decay(peak_rate, steps - warmup)], [warmup]
    )
    optimizer = optim.AdamW(rate, betas=[0.9, 0.98], weight_decay=0.01, bias_correction=True)
    step = nn.value_and_grad(model, mean_loss)
    started = time.perf_counter()
    batches = islice(pretraining_batches(tokenizer, Random(seed + 1), batch), steps)
    for index, (inputs_BT, targets_BT) in enumerate(batches, start=1):
        flat = targets_BT.reshape(-1)
        rows = np.flatnonzero(flat != IGNORED)
        loss, grads = step(model, mx.array(inputs_BT), mx.array(rows), mx.array(flat[rows]))
        grads, _ = optim.clip_grad_norm(grads, 1.0)
        optimizer.update(model, grads)
        mx.eval(model.parameters(), optimizer.state, loss)
        if index % 200 == 0 or index == steps:
            print(f"step {index}/{steps}  loss {loss.item():.4f}  {time.perf_counter() - started:.0f} s", flush=True)
    return model
