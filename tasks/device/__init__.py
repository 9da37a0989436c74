"""The machine: what computes, how much memory it has, and the libraries and settings in front of MLX on it.

Nothing is imported here: the BLAS and the kernel groups are set before `mlx.core` is first imported.
"""
