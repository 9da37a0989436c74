"""Stages of a run, one file a verb, and the rooms that they are made of, one folder a noun."""

from tasks.device.blas import load_blas
from tasks.device.kernel_groups import small_groups

small_groups()
BLAS = load_blas()
"""The BLAS library in front of MLX's CPU backend, or None: it must be loaded before `mlx.core` is, hence here."""
