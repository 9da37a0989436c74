"""What every command shares: the line it is typed on, multirun, the checks before it starts, the terminal."""
