"""An optimizer's state as flat named arrays, so that a checkpoint can contain it and a resumed run continue exactly.

Names are MLX's own tree paths (`step`, `layers.0.q_proj.weight.m`), sorted: safetensors bytes follow the order of
insertion, and the same state must be the same file.
"""

from typing import Any, cast

import mlx.core as mx
from mlx.optimizers import Optimizer
from mlx.utils import tree_flatten, tree_unflatten

from tasks.errors import RunError


def state_arrays(optimizer: Optimizer) -> dict[str, mx.array]:
    """Every array of the state by name, sorted; step and learning rate included.

    Example:
        >>> from tasks.optim import AdamW
        >>> optimizer = AdamW().build()
        >>> optimizer.init({"w": mx.zeros((2,))})
        >>> list(state_arrays(optimizer))
        ['learning_rate', 'step', 'w.m', 'w.v']
    """
    return dict(sorted(cast(list[tuple[str, mx.array]], tree_flatten(optimizer.state))))


def load_state(optimizer: Optimizer, arrays: dict[str, mx.array], parameters: Any) -> None:
    """Puts a state back, in place of the optimizer's own.

    Args:
        arrays: the state, as `state_arrays` returned it.
        parameters: the tree that is trained; the state must have been made for it.

    Raises:
        RunError: an array is missing, unknown, or of another shape or dtype; names the first of them.
    """
    optimizer.init(parameters)
    wanted = state_arrays(optimizer)
    problems = [f"no {name}" for name in wanted if name not in arrays]
    problems += [f"an unknown {name}" for name in sorted(arrays) if name not in wanted]
    problems += [
        f"{name} is {_kind(arrays[name])}, not {_kind(wanted[name])}"
        for name in wanted
        if name in arrays and _kind(arrays[name]) != _kind(wanted[name])
    ]
    if problems:
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise RunError(
            f"the saved optimizer state does not fit the parameters: {'; '.join(problems[:4])}{more}. "
            "Resume with the lora and optim settings that it was saved under"
        )
    optimizer.state = tree_unflatten(list(arrays.items()))
    optimizer.init(parameters)  # so that a compiled step sees the final tree before its first call


def _kind(array: mx.array) -> str:
    return f"{str(array.dtype).removeprefix('mlx.core.')}{list(array.shape)}"
