"""What a person reads: a run, its plan, its tokens."""
