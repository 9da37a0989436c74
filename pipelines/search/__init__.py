"""A search over runs: its space, trials, workers, storage and report; run by `pipelines.sweep`."""
