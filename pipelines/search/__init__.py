"""A search over runs: what is tried, who tries it, and what came of it. Only `pipelines.sweep` is run by a person."""
