"""The per-token cross entropy that two losses share, in float32 whatever the logits' dtype.

`nn.losses.cross_entropy` rounds its result to the logits' dtype, and on the CPU reduces in it; a bfloat16 sum over
150,000 words is then good to two digits. MLX's fused kernel (Metal and CUDA) accumulates in float32 without a
float32 copy of the logits, so it is used where its plain formula is what is asked for.
"""

from typing import Any

import mlx.core as mx

from tasks.device.backend import kind
from tasks.device.fast_exp import exp


def token_cross_entropy(
    logits: mx.array, targets: mx.array, *, label_smoothing: float = 0.0, z_loss: float = 0.0
) -> mx.array:
    """The loss of each token, in nats.

    With s = label_smoothing, z = z_loss, lse = logsumexp(logits) over the V words:

        loss = lse - (1 - s) * logits[target] - s * mean(logits) + z * lse**2

    Smoothing mixes the one-hot target with the uniform one (Szegedy et al. 2016, arXiv:1512.00567); the last term
    keeps the logits' normalizer near 1 (PaLM, arXiv:2204.02311, where z = 1e-4).

    Args:
        logits: [..., V], any floating dtype.
        targets: integers [...] in [0, V); MLX checks no bounds, so put a valid id, e.g. 0, where a weight masks it.

    Returns:
        float32 [...].

    Raises:
        ValueError: the shapes do not belong together, or the targets are not integers.

    Example:
        >>> token_cross_entropy(mx.array([[0.0, 0.0], [0.0, 100.0]]), mx.array([0, 0])).tolist()
        [0.6931471824645996, 100.0]
    """
    check_targets(logits, targets)
    if label_smoothing == 0 and z_loss == 0 and kind() == "gpu":
        return mx.fast.cross_entropy(logits, targets)
    logits = logits.astype(mx.float32)
    lse = log_normalizer(logits)
    loss = lse - (1 - label_smoothing) * target_entries(logits, targets)
    if label_smoothing:
        loss = loss - label_smoothing * logits.mean(axis=-1)
    if z_loss:
        loss = loss + z_loss * lse.square()
    return loss


def log_normalizer(logits: mx.array) -> mx.array:
    """logsumexp over the last axis, float32; its gradient takes half the time of MLX's own on a CPU.

    Example:
        >>> log_normalizer(mx.array([[0.0, 0.0], [0.0, 100.0]])).tolist()
        [0.6931471824645996, 100.0]
    """
    function: Any = mx.custom_function(lambda logits: mx.logsumexp(logits, axis=-1, keepdims=True))

    @function.vjp
    def backward(logits: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
        return cotangent * exp(logits - output)

    return function(logits).squeeze(-1)


def target_entries(values: mx.array, targets: mx.array) -> mx.array:
    """The entry of each row that its target names: [..., V] and [...] -> [...].

    Example:
        >>> target_entries(mx.array([[1.0, 2.0], [3.0, 4.0]]), mx.array([1, 0])).tolist()
        [2.0, 3.0]
    """
    return mx.take_along_axis(values, targets[..., None], axis=-1).squeeze(-1)


def check_targets(logits: mx.array, targets: mx.array) -> None:
    """Raises ValueError unless targets are integers [...] for logits [..., V]."""
    if logits.ndim == 0 or logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets are {targets.shape}, the logits {logits.shape}: want [...] and [..., vocabulary]")
    if not mx.issubdtype(targets.dtype, mx.integer):
        raise ValueError(f"targets are {targets.dtype}; they must be token ids, integers")
