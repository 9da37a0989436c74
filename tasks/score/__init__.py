"""What evaluating is: the held-out loss, the answers, the metric."""
