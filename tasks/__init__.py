"""How it is done: verb files are the stages of a run, noun folders hold what they are made of."""

from tasks.device.blas import load_blas
from tasks.device.kernel_groups import small_groups

small_groups()
BLAS = load_blas()
"""The BLAS library in front of MLX's CPU backend, or None: it must be loaded before `mlx.core` is, hence here."""
