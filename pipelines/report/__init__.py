"""What a person reads: the report of a run, its plan, its tokens."""
