"""What every command shares: its line, its help, multirun, the checks before it starts, its output."""
