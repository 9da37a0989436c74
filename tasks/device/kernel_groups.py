"""How many kernels MLX hands to a CUDA device at a time.

MLX hands over kernels in groups and lets ten groups wait; what a kernel reads is kept until its group is through. On an
H200 a group has 100 kernels, so that ten of them kept as much as a step's activations. Groups of 20 cost no time there
(tests/bench/README.md has the figures), and a step takes half as much.
"""

import os
import sys

VARIABLE = "MLX_MAX_OPS_PER_BUFFER"
KERNELS = 20
"""Kernels in a group."""


def small_groups() -> None:
    """Makes groups small on Linux, unless MLX_MAX_OPS_PER_BUFFER is set; before MLX first uses a GPU.

    Metal's own groups are of 20 to 50 and stay as they are.

    Example:
        >>> small_groups()
        >>> sys.platform != "linux" or int(os.environ["MLX_MAX_OPS_PER_BUFFER"]) > 0
        True
    """
    if sys.platform == "linux":
        os.environ.setdefault(VARIABLE, str(KERNELS))
