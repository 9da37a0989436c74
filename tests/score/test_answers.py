"""Answers are greedy, one a row asked for; end-of-turn tokens are no text."""

import mlx.core as mx

from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer
from tasks.score.answers import answers, as_text
from tasks.score.held_out import First


def test_each_answer_is_the_greedy_one(token_cache, model_folder) -> None:
    source = Model(path=str(model_folder()))
    model, tokenizer, rows = load_base(source).model, load_tokenizer(source), First(token_cache.split("valid"), 2)
    expected = []
    for i in (0, 1):
        ids = rows.ids(i)[: rows.prompt_length(i)].tolist()
        start = len(ids)
        for _ in range(4):
            ids.append(int(mx.argmax(model(mx.array([ids]))[0, -1])))
            if ids[-1] in tokenizer.eos_token_ids:
                break
        expected.append(as_text(tokenizer, ids[start:]))
    assert answers(model, tokenizer, rows, [0, 1], 4) == expected
    assert answers(model, tokenizer, rows, [], 4) == []


def test_ends_are_no_text(model_folder) -> None:
    tokenizer = load_tokenizer(Model(path=str(model_folder())))
    end = next(iter(tokenizer.eos_token_ids))
    assert as_text(tokenizer, [*tokenizer.encode("ab"), end]) == "ab"
