"""The Prefect UI above the flows: deployments, schedules, crashed runs marked as such."""
