import json

import pytest

from tasks.data import Data
from tasks.errors import DataError, ModelError
from tasks.model import Model
from tasks.tokenize import tokenize
from tests.tiny import write_chat


def test_rows_become_examples_that_supervise_the_answers(token_cache, model_folder):
    from tasks.model.base import load_tokenizer

    tokenizer, rows = load_tokenizer(Model(path=str(model_folder()))), token_cache.split("train")
    assert (len(rows), len(token_cache.split("valid"))) == (40, 8)
    ids, weights = rows.ids(0).tolist(), rows.weights(0).tolist()
    assert tokenizer.decode(ids) == "<|im_start|>user\n0 + 1?<|im_end|>\n<|im_start|>assistant\n1<|im_end|>\n"
    assert tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w]) == "1<|im_end|>"
    assert tokenizer.decode(ids[: rows.prompt_length(0)]).endswith("<|im_start|>assistant\n")


def test_it_is_found_again(model_folder, tmp_path):
    data = Data(train=str(write_chat(tmp_path / "a.jsonl", 5)))
    model = Model(path=str(model_folder()))
    first = tokenize.fn(data, model, tmp_path / "cache")
    again = tokenize.fn(data, model, tmp_path / "cache")
    assert (first.reused, again.reused, first.path) == (False, True, again.path)
    assert tokenize.fn(data, Model(path=str(model_folder("llama"))), tmp_path / "cache").reused  # the same tokenizer
    write_chat(tmp_path / "a.jsonl", 6)
    assert not tokenize.fn(data, model, tmp_path / "cache").reused


def test_a_bad_row_is_told_by_file_and_line(model_folder, tmp_path):
    path = write_chat(tmp_path / "a.jsonl", 2)
    with path.open("a") as file:
        file.write(json.dumps({"messages": [{"role": "user", "content": "?"}]}) + "\n")
    with pytest.raises(DataError, match=r"a\.jsonl:3: "):
        tokenize.fn(Data(train=str(path)), Model(path=str(model_folder())), tmp_path / "cache")


def test_no_tokenizer(tmp_path, model_folder):
    with pytest.raises(ModelError, match="no such folder"):
        tokenize.fn(Data(train=str(write_chat(tmp_path / "a.jsonl", 2))), Model(path="./absent"), tmp_path)
