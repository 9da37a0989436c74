import pytest

from tasks.errors import ConfigError, DataError
from tasks.settings import Train
from tasks.step.contradictions import check_accumulation, check_rows


def test_a_step_longer_than_the_run_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=r"train\.accumulate is 6, an epoch has 5 batches: .* set train\.accumulate"):
        check_accumulation(Train(accumulate=6), 5)
    check_accumulation(Train(accumulate=6, epochs=2), 5)
    check_accumulation(Train(accumulate=5), 5)
    assert not caplog.messages
    check_accumulation(Train(accumulate=6, steps=1), 5)
    assert "each step goes over the 5 batches 1.2 times" in caplog.text


def test_rows_that_the_model_cannot_take_are_refused(token_cache) -> None:
    largest = max(split.largest_id for split in token_cache.splits.values())
    longest = max(split.longest for split in token_cache.splits.values())
    check_rows(token_cache, {"vocab_size": largest + 1, "max_position_embeddings": longest})
    check_rows(token_cache, {})
    with pytest.raises(DataError, match=f"the model's vocabulary ends at {largest - 1}: the tokenizer is not"):
        check_rows(token_cache, {"text_config": {"vocab_size": largest}})
    with pytest.raises(DataError, match=f"the model was made for {longest - 1}; set data.max_tokens={longest - 1}"):
        check_rows(token_cache, {"max_position_embeddings": longest - 1})
