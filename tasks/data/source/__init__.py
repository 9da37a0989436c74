"""From bytes to raw rows: files and hub datasets, opened, split into blocks and decoded."""
