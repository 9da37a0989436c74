"""Examples on disk come back as they were written."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.pool import PoolWriter, TokenSplit
from tasks.data.tokens import Tokens

EXAMPLES = st.lists(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=9),
    min_size=1,
    max_size=5,
)


@given(EXAMPLES)
def test_round_trip(tmp_path_factory, examples: list):
    folder: Path = tmp_path_factory.mktemp("pool")
    rows = [Tokens([i for i, _ in pairs], [w for _, w in pairs], n) for n, pairs in enumerate(examples)]
    with PoolWriter(folder, "train") as pool:
        for n, row in enumerate(rows):
            pool.append(row, line=n + 1, digest=n)
        np.save(folder / "train.index.npy", pool.index())
    split = TokenSplit(folder, "train", "train")
    assert len(split) == len(rows)
    assert split.lines.tolist() == list(range(1, len(rows) + 1))
    for n, row in enumerate(rows):
        assert split.ids(n).tolist() == row.ids
        assert split.weights(n).tolist() == row.weights
        assert split.lengths[n] == len(row.ids)
        assert split.prompt_length(n) == n
