"""Prints what each family of mlx-lm got, as FAMILIES.md has it.

python -m tests.families.table [FAMILY ...]
"""

import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import mlx_lm

from tasks.data import Data
from tasks.model import Model
from tasks.tokenize import tokenize
from tests.families.configs import names
from tests.families.course import run_course
from tests.tiny import write_chat, write_model

HEAD = """# Families

What a tiny random model of each family of mlx-lm {version} gets, by `python -m tests.families.table`: whether examples
are packed or each has a row of its own (bucketed), whether attention is ours (blockwise) or the model's own, whether
answers are generated in a batch or one by one, and how many of the checks of `verify=full` its adapter passes after
two steps. `pytest -m families` goes the same way.

| family | layout | attention | answers | verified | what failed |
|---|---|---|---|---|---|"""


def main(chosen: list[str]) -> None:
    """Goes the course of each family, a row of the table each."""
    logging.disable(logging.CRITICAL)
    print(HEAD.format(version=mlx_lm.__version__))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        train, valid = (str(write_chat(root / f"{n}.jsonl", rows, n)) for n, rows in ((0, 40), (100, 8)))
        source = Model(path=str(write_model(root / "base", "qwen3")))
        cache = tokenize.fn(Data(train=train, valid=valid), source, root / "cache")
        for family in chosen or names():
            print(run_course(family, cache, root / family).row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
