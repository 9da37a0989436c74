"""Loss scaling: float16 rounds small gradients to zero, so the backward pass runs on a multiple of the loss.

The factor is part of the optimizer's state, and so of a checkpoint. It is halved by a step whose gradient overflows,
which updates nothing, and doubled after many that do not (Micikevicius et al. 2018, arXiv:1710.03740). Losses here
are sums over a batch and not means, which is why it begins low and may go below 1.
"""

import mlx.core as mx

NAME = "loss_scale"
"""Its key in the optimizer's state."""
START, LEAST, MOST = 2.0**8, 2.0**-14, 2.0**16
GROW_AFTER = 200
"""Steps in a row without an overflow before the factor is doubled."""

Scaling = dict[str, mx.array]


def start() -> Scaling:
    """The factor, and the steps in a row that did not overflow."""
    return {"factor": mx.array(START), "sound": mx.array(0)}


def after(scaling: Scaling, sound: mx.array) -> Scaling:
    """The scaling for the next step.

    Args:
        scaling: that of this step.
        sound: whether its loss and gradient are finite, a bool.

    Example:
        >>> lower = after(start(), mx.array(False))
        >>> lower["factor"].item(), after({**lower, "sound": mx.array(GROW_AFTER - 1)}, mx.array(True))["factor"].item()
        (128.0, 256.0)
    """
    factor, count = scaling["factor"], scaling["sound"] + 1
    grown = count >= GROW_AFTER
    up = mx.where(grown, mx.minimum(2 * factor, MOST), factor)
    return {
        "factor": mx.where(sound, up, mx.maximum(factor / 2, LEAST)),
        "sound": mx.where(sound & ~grown, count, mx.zeros_like(count)),
    }


def overflowed(scaling: Scaling, loss: mx.array, norm: mx.array) -> mx.array:
    """Whether a gradient that is not finite is the scale's doing, and will be mended by a lower one."""
    return mx.isfinite(loss) & ~mx.isfinite(norm) & (scaling["factor"] > LEAST)
