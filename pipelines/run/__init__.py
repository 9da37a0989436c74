"""One run: its directory, its stages, and its turn on the machine."""
