"""The optimizer step over a window of batches, one function of arrays: sums, one division, clip, update.

Compiled, the whole step is one graph a shape. A step whose loss or gradient is not finite leaves masters and state
as they were, inside the graph, so that the trainer can read the loss late and lose nothing.
"""

# Shapes: a *window* is the batches of one step (train.accumulate of them). The masters, hundreds of small float32
# matrices, are worked on as one *vector* [P]: scale, cast, clip and Adam are then a few operations instead of a few
# hundred, whose launches would cost more than their arithmetic. The model sees the tree again, cast to its dtype.

from collections.abc import Callable
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from tasks.device.backend import kind
from tasks.grad import Part, add, checkpoint_blocks, divide, recomputed, value_and_grad
from tasks.grad.tree import Tree
from tasks.lora.attach import draw_dropout, unscaled
from tasks.loss import LossSum
from tasks.memory import Checkpoint
from tasks.optim import AnyOptimizer, clip, load_state
from tasks.settings import Train
from tasks.step import scaling
from tasks.step.forward import Arrays, Forward, training_kernels

Masters = dict[str, Any]
"""The parameters of the adapter as `trainable_parameters` nests them, down to float32 arrays."""

OptimizerState = dict[str, Any]
"""An optimizer's state: a tree of arrays, and under `scaling.NAME` that of the loss's scale in float16."""

NAME = "adapter"
"""The optimizer's name for the one vector of all masters."""


class Updated(NamedTuple):
    """The results of a step, not yet computed: `mx.eval` or `mx.async_eval` them.

    Attributes:
        masters: the adapter's parameters after the step.
        state: the optimizer's state after it.
        loss: the loss over the window, as sum and count.
        norm: the norm of the gradient before clipping; 0 where a float16 step overflowed, which updates nothing and
            lowers the loss's scale.
    """

    masters: Masters
    state: OptimizerState
    loss: LossSum
    norm: mx.array


class Update:
    """The step of a model under an optimizer.

    Args:
        forward: the loss of one batch.
        optim: the optimizer and its clipping.
        checkpoint: what is computed again in the backward pass, see `Memory`.
        compile: one graph a shape; worth it on a GPU. On a CPU MLX compiles with g++ at run time.

    Raises:
        ConfigError: the model's blocks have no such part.
    """

    def __init__(
        self, forward: Forward, optim: AnyOptimizer, *, checkpoint: Checkpoint = "none", compile: bool = False
    ):
        self._forward, self._optim, self._recomputed = forward, optim, recomputed(forward.model, checkpoint)
        self._optimizer = optim.build()
        self._scaled = forward.dtype == mx.float16
        self._step = mx.compile(self._run) if compile else self._run
        self._held: tuple[Masters, mx.array] = ({}, mx.zeros((0,)))

    def start(self, masters: Masters) -> OptimizerState:
        """The optimizer's state before the first step."""
        self._optimizer.init({NAME: _joined(masters)})
        return {**self._optimizer.state, **({scaling.NAME: scaling.start()} if self._scaled else {})}

    def restore(self, masters: Masters, arrays: dict[str, mx.array]) -> OptimizerState:
        """The optimizer's state out of a checkpoint's arrays, by the names that `named` gave.

        Raises:
            RunError: the state was saved under other settings.
        """
        scale: Any = {name: array for name, array in arrays.items() if name.startswith(scaling.NAME) and self._scaled}
        load_state(self._optimizer, {n: a for n, a in arrays.items() if n not in scale}, {NAME: _joined(masters)})
        return {**self._optimizer.state, **tree_unflatten(list(scale.items()))} if scale else self._optimizer.state

    def __call__(
        self, masters: Masters, state: OptimizerState, window: list[Arrays], key: mx.array, rate: float
    ) -> Updated:
        """The step over a window of batches: the gradient of their summed loss, divided once by its count.

        Args:
            masters: the adapter's parameters, float32.
            state: the optimizer's state.
            window: the batches, as `Forward.arrays` gives them.
            key: the random key of this step's dropout.
            rate: this step's learning rate.
        """
        if masters is not self._held[0]:  # the last step's result is kept as one vector already
            self._held = masters, _joined(masters)
        vector, state, loss, norm = self._step(self._held[1], state, window, key, mx.array(rate))
        updated = _cut(vector, masters)
        self._held = updated, vector
        return Updated(updated, state, loss, norm)

    def _run(
        self, vector: mx.array, state: OptimizerState, window: list[Arrays], key: mx.array, rate: mx.array
    ) -> tuple[mx.array, OptimizerState, LossSum, mx.array]:
        """Builds the graph of a step. Compiled, this runs once a shape, to be traced: whatever it sets on the model
        (training mode, kernels, the strength taken out) must be set here, and is undone before it returns."""
        model = self._forward.model
        model.train()
        try:
            # Around the backward too: checkpointed blocks run again there.
            with training_kernels(model), unscaled(model) as factors:
                sizes = {name: array.size for name, array in named(self._held[0]).items()}
                scales = np.repeat([factors.get(name, 1.0) for name in sizes], list(sizes.values()))
                return self._graph(vector, mx.array(scales, mx.float32), state, window, key, rate)
        finally:
            model.eval()
            model.update(self._held[0])  # tracing put its own arrays there

    def _graph(
        self,
        vector: mx.array,
        scales: mx.array,
        state: OptimizerState,
        window: list[Arrays],
        key: mx.array,
        rate: mx.array,
    ) -> tuple[mx.array, OptimizerState, LossSum, mx.array]:
        state = dict(state)
        scale = state.pop(scaling.NAME, None)
        factor = None if scale is None else scale["factor"]
        part: Part | None = None
        with checkpoint_blocks(self._recomputed):
            for arrays, dropout_key in zip(window, mx.random.split(key, len(window)), strict=True):
                # One batch after the other: the graph alone would let MLX run them side by side, with the activations
                # of all alive. So each batch reads the masters through a dependency on the gradients before it.
                after = vector if part is None else mx.depends([vector], [part.grads])[0]
                step = Part(*value_and_grad(self._total(arrays, scales, dropout_key, factor))(after))
                part = step if part is None else add(part, step)
        assert part is not None, "a step needs a batch"
        loss, grads = divide(part, vector)  # the one division: by the count of the whole window
        if factor is not None:
            loss, grads = LossSum(loss.total / factor, loss.count), grads / factor
        grads, norm = clip(grads, self._optim.clip_norm)
        self._optimizer.state = {**tree_map(lambda array: array, state), "learning_rate": rate}  # updated in place
        updated = self._optimizer.apply_gradients({NAME: grads}, {NAME: vector})[NAME]
        sound = mx.isfinite(loss.total) & mx.isfinite(norm)

        # A choice inside the graph, not an `if`: reading `sound` would make the host wait for the device every step.
        def keep(new: mx.array, old: mx.array) -> mx.array:
            return mx.where(sound, new, old)

        kept = tree_map(keep, self._optimizer.state, state)
        if scale is not None:
            kept[scaling.NAME] = scaling.after(scale, sound)
            norm = mx.where(scaling.overflowed(scale, loss.total, norm), 0.0, norm)
        return keep(updated, vector), kept, loss, norm

    def _total(
        self, arrays: Arrays, scales: mx.array, key: mx.array, factor: mx.array | None
    ) -> Callable[[mx.array], LossSum]:
        masters, dtype = self._held[0], self._forward.dtype

        def total(vector: mx.array) -> LossSum:
            self._forward.model.update(_parameters(vector * scales, masters, dtype))
            draw_dropout(self._forward.model, key)
            loss = self._forward(arrays)
            return loss if factor is None else LossSum(loss.total * factor, loss.count)

        return total


def is_compiled(train: Train) -> bool:
    """Whether the step is compiled: as `train.compile` says, or else on a GPU."""
    return kind() == "gpu" if train.compile is None else train.compile


def named(tree: Tree) -> dict[str, mx.array]:
    """The arrays of a tree by their paths, such as `model.layers.0.self_attn.q_proj.weight`."""
    return dict(tree_flatten(tree))


def _joined(masters: Masters) -> mx.array:
    """All of a tree in one float32 vector: what is done to each of hundreds of small arrays is then done once."""
    return mx.concatenate([array.reshape(-1).astype(mx.float32) for array in named(masters).values()])


def _cut(vector: mx.array, like: Masters) -> Masters:
    """The tree that `_joined` was given, out of its vector, in the vector's dtype.

    Example:
        >>> tree = {"a": mx.zeros((2, 1)), "b": [mx.ones((1, 3))]}
        >>> _cut(_joined(tree), tree)["b"]
        [array([[1, 1, 1]], dtype=float32)]
    """
    arrays = named(like)
    ends = [int(end) for end in np.cumsum([array.size for array in arrays.values()])]
    pieces = mx.split(vector, ends[:-1])
    shaped = zip(arrays.items(), pieces, strict=True)
    return tree_unflatten([(name, piece.reshape(array.shape)) for (name, array), piece in shaped])


def _parameters(vector: mx.array, like: Masters, dtype: mx.Dtype) -> Masters:
    """The tree out of the vector, cast to what the model computes in; its gradient is joined again in one piece."""

    def pieces(vector: mx.array) -> list[mx.array]:
        return list(named(_cut(vector.astype(dtype), like)).values())

    function: Any = mx.custom_function(pieces)

    @function.vjp
    def joined(_primal: mx.array, cotangents: list[mx.array], _outputs: list[mx.array]) -> mx.array:
        return mx.concatenate([c.reshape(-1) for c in cotangents]).astype(mx.float32)

    return tree_unflatten(list(zip(named(like), function(vector), strict=True)))
