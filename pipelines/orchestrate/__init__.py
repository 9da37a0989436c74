"""Prefect below the flows: stages as tasks, how a run ends, a private server."""
