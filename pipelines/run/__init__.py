"""One run: its directory, its stages, its turn on the machine."""
