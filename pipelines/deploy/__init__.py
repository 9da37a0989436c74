"""The Prefect UI above the flows: deployments, their schedules, crashed runs named as such."""
