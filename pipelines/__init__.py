"""The commands that a person runs, and what they are made of."""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")  # read by Prefect when it is imported: no usage events leave the machine
