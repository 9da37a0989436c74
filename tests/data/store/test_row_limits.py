import pytest

from tasks.data.store.row_limits import check_rows
from tasks.errors import DataError


def test_rows_that_the_model_cannot_take_are_refused(token_cache) -> None:
    largest = max(split.largest_id for split in token_cache.splits.values())
    longest = max(split.longest for split in token_cache.splits.values())
    check_rows(token_cache, largest + 1, longest)
    with pytest.raises(DataError, match=f"the model's vocabulary ends at {largest - 1}: the tokenizer is not"):
        check_rows(token_cache, largest, longest)
    with pytest.raises(DataError, match=f"the model was made for {longest - 1}; set data.max_tokens={longest - 1}"):
        check_rows(token_cache, largest + 1, longest - 1)
