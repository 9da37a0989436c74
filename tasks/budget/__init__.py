"""What a run needs and what fits, predicted before a weight is read."""
