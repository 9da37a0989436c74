"""Greedy answers to the prompts of held-out rows, batched by mlx-lm."""

from typing import Any

import mlx.nn as nn

from tasks.score.held_out import First

AT_ONCE, PROMPTS = 32, 8
"""Answers that are generated together, and prompts that are read together: mlx-lm's own."""


def answers(
    model: nn.Module, tokenizer: Any, rows: First, asked: list[int], most: int, at_once: int = AT_ONCE
) -> list[str]:
    """One greedy answer a row asked for, in their order.

    Args:
        model: ids -> logits.
        tokenizer: mlx-lm's wrapper of one.
        rows: held-out rows.
        asked: the numbers of those that are answered; each has a prompt.
        most: tokens of an answer at most.
        at_once: answers that are generated together.
    """
    if not asked:
        return []
    from mlx_lm.generate import batch_generate

    prompts = [rows.ids(i)[: rows.prompt_length(i)].tolist() for i in asked]
    batched: Any = {"completion_batch_size": at_once, "prefill_batch_size": min(at_once, PROMPTS)}
    return list(batch_generate(model, tokenizer, prompts, max_tokens=most, **batched).texts)


def as_text(tokenizer: Any, ids: Any) -> str:
    """The tokens as text, end-of-turn tokens left out."""
    ends = set(tokenizer.eos_token_ids)
    return tokenizer.decode([int(i) for i in ids if int(i) not in ends])
