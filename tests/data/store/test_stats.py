"""Counts of splits, and of what was said of rows."""

from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.format.message import SPEAKERS
from tasks.data.store import stats
from tasks.data.store.stats import split_stats
from tasks.data.store.tally import Remark, Tally

EXAMPLE = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, len(SPEAKERS) - 1)), min_size=1, max_size=9
)


@given(st.lists(st.tuples(EXAMPLE, st.integers(0, 3)), min_size=1, max_size=12), st.sampled_from([2, 7, 1 << 20]))
def test_every_token_of_the_split_is_counted_as_often_as_it_is_there(examples: list, window: int):
    kept = [n for n, (_, times) in enumerate(examples) for _ in range(times)] or [0]
    stops = [0, *accumulate(len(tokens) for tokens, _ in examples)]
    index = np.array([(stops[n], stops[n + 1], 0, n + 1, n) for n in reversed(kept)], np.int64)
    weights, speakers = (np.array([t[k] for tokens, _ in examples for t in tokens]) for k in (0, 1))
    pool = np.arange(len(weights), dtype=np.uint32), weights.astype(np.float32), speakers.astype(np.uint8)
    before, stats._WINDOW = stats._WINDOW, window
    try:
        found = split_stats(index, pool, Tally(rows=len(examples)), np.zeros(0, bool))
    finally:
        stats._WINDOW = before
    tokens = [(n, weight, name) for n in kept for weight, name in examples[n][0]]
    assert (found.examples, found.tokens) == (len(kept), len(tokens))
    assert found.supervised_tokens == sum(weight > 0 for _, weight, _ in tokens)
    assert found.supervised_tokens == sum(share.supervised_tokens for share in found.by_role.values())
    assert found.tokens == sum(share.tokens for share in found.by_role.values())
    for code, name in enumerate(SPEAKERS):
        own = [weight for _, weight, speaker in tokens if speaker == code]
        assert (found.by_role[name].tokens, found.by_role[name].supervised_tokens) == (len(own), sum(map(bool, own)))
    odd = [n + 1 for n, weight, _ in tokens if weight == 0.5]
    assert found.weighted == Remark(count=len(odd), lines=tuple(dict.fromkeys(odd))[:5])
    assert found.largest_id == stops[kept[-1] + 1] - 1
