"""A computation predicted, not run: MLX's graph, its order, fusion, queue and buffers."""
