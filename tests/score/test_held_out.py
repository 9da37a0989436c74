import pytest

from tasks.data import Data
from tasks.errors import DataError
from tasks.model import Model
from tasks.score.held_out import HeldOut
from tasks.settings import Evaluate
from tasks.tokenize import tokenize
from tests.tiny import write_chat


def test_it_is_the_test_rows_where_there_are_some(token_cache, model_folder, tmp_path):
    rows = HeldOut(token_cache, Evaluate())
    assert (rows.name, len(rows.rows)) == ("valid", len(token_cache.split("valid")))
    train, valid, test = (str(write_chat(tmp_path / f"{n}.jsonl", 4, 10 * n)) for n in range(3))
    cache = tokenize.fn(Data(train=train, valid=valid, test=test), Model(path=str(model_folder())), tmp_path / "cache")
    assert HeldOut(cache, Evaluate()).name == "test"


def test_as_many_are_scored_and_answered_as_are_asked_for(token_cache):
    some = HeldOut(token_cache, Evaluate(examples=3, generate=2))
    assert (len(some.rows), some.asked) == (3, [0, 1])
    assert some.longest_prompt == max(token_cache.split("valid").prompt_length(i) for i in (0, 1))
    assert [len(prompt) for prompt in some.prompts] == [token_cache.split("valid").prompt_length(i) for i in (0, 1)]
    none = HeldOut(token_cache, Evaluate(generate=0))
    assert (none.asked, none.longest_prompt) == ([], 0)


def test_no_held_out_rows(model_folder, tmp_path):
    data = Data(train=str(write_chat(tmp_path / "train.jsonl", 8)), valid_share=0)
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    with pytest.raises(DataError, match=r"no held-out rows .* data\.valid_share.*evaluate=off"):
        HeldOut(cache, Evaluate())
    off = HeldOut(cache, Evaluate(examples=0))
    assert (off.name, len(off.rows), off.asked) == ("", 0, [])
