"""How long real rows are, for `--lengths` of the step benchmarks: python -m tests.bench.lengths ROWS.jsonl TOKENIZER

TOKENIZER is a folder with a tokenizer and its chat template. Each line that it prints is a row: its tokens, and the
first of them that is supervised. So a machine needs neither the data nor the tokenizer to train on rows as long.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np


def main() -> None:
    """Prints the lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows")
    parser.add_argument("tokenizer")
    given = parser.parse_args()

    from transformers import AutoTokenizer

    from tasks.data import Data, build_cache

    data, tokenizer = Data(train=given.rows, valid_share=0.0), AutoTokenizer.from_pretrained(given.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        cache = build_cache(data, tokenizer, tokenizer_fingerprint=given.tokenizer, root=Path(folder))
        split = cache.split("train")
        for n, length in enumerate(split.lengths.tolist()):
            print(length, int(np.flatnonzero(split.weights(n))[0]))


if __name__ == "__main__":
    main()
