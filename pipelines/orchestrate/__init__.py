"""Prefect below the flows: stages as tasks, how a run ends there, a private server."""
