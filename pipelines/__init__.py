"""What a person runs: flows and their command lines."""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")  # read by Prefect when it is imported: no usage events leave the machine
