import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tasks.adapter import load_adapter, read_adapter, read_adapter_manifest
from tasks.data import Data
from tasks.errors import DataError
from tasks.evaluate import evaluate
from tasks.model import Model
from tasks.model.base import load_base, load_tokenizer
from tasks.settings import Evaluate
from tasks.tokenize import tokenize
from tests.tiny import write_chat
from tests.training import recipe, train_in


def scores_of(cache, adapter, out, **settings):
    path, source = adapter
    return evaluate.fn(read_adapter(path), cache, source, Evaluate(**settings), out / "evaluate.json")


def true_loss(model, rows, most: int) -> float:
    """One row at a time, no padding, in float64."""
    total = count = 0.0
    for i in range(most):
        logits = np.array(model(mx.array(rows.ids(i))[None])[0], np.float64)
        targets, weights = rows.ids(i)[1:].astype(int), rows.weights(i)[1:]
        lse = np.log(np.exp(logits[:-1]).sum(-1))
        total += (weights * (lse - logits[np.arange(len(targets)), targets])).sum()
        count += weights.sum()
    return total / count


@pytest.mark.parametrize("examples", [None, 3])
def test_the_losses_are_the_base_s_and_the_adapter_s(examples, token_cache, trained, tmp_path):
    path, source = trained()
    scores = scores_of(token_cache, (path, source), tmp_path, examples=examples, generate=0)
    rows, model = token_cache.split("valid"), load_base(source).model
    most = examples or len(rows)
    assert (scores.split, scores.examples) == ("valid", most)
    assert scores.loss_before == pytest.approx(true_loss(model, rows, most), rel=1e-5)
    load_adapter(path, model)
    assert scores.loss_after == pytest.approx(true_loss(model, rows, most), rel=1e-5)
    assert scores.loss_before is not None
    assert scores.loss_after is not None
    assert scores.loss_after < scores.loss_before


def test_a_base_is_scored_once_for_its_adapters(token_cache, trained, model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.evaluate._OF_BASES", {})
    path, source = trained()
    first = scores_of(token_cache, (path, source), tmp_path, generate=0)
    calls = []
    monkeypatch.setattr("tasks.evaluate.held_out_loss", lambda model, rows: calls.append(len(rows)) or 0.0)
    again = scores_of(token_cache, (path, source), tmp_path, generate=0)
    assert (again.loss_before, again.loss_after, len(calls)) == (first.loss_before, 0.0, 1)
    scores_of(token_cache, (path, source), tmp_path, generate=0, examples=3)
    assert calls == [len(token_cache.split("valid")), 3, 3]
    another = trained("qwen3", seed=5)
    assert scores_of(token_cache, another, tmp_path, generate=0).loss_before == 0.0


def test_nothing_generated_is_no_score(token_cache, trained, tmp_path):
    scores = scores_of(token_cache, trained(), tmp_path, generate=0)
    assert (scores.answered, scores.metric_before, scores.metric_after, scores.samples) == (0, None, None, ())


def test_answers_are_greedy_and_end_where_the_model_ends_them(token_cache, trained, tmp_path):
    path, source = trained()
    scores = scores_of(token_cache, (path, source), tmp_path, generate=3, samples=2, max_new_tokens=5)
    assert (scores.answered, len(scores.samples)) == (3, 2)
    model, tokenizer, rows = load_base(source).model, load_tokenizer(source), token_cache.split("valid")
    for attached in (False, True):
        if attached:
            load_adapter(path, model)
        for i, sample in enumerate(scores.samples):
            prompt, said = rows.ids(i)[: rows.prompt_length(i)].tolist(), []
            while len(said) < 5 and (best := int(model(mx.array([prompt + said]))[0, -1].argmax().item())) not in (
                256,
                258,
            ):
                said.append(best)
            assert (sample.after if attached else sample.before) == tokenizer.decode(said)


def test_a_sample_is_a_question_and_its_reference(token_cache, trained, tmp_path):
    sample = scores_of(token_cache, trained(), tmp_path, generate=1, max_new_tokens=1).samples[0]
    assert sample.prompt == "<|im_start|>user\n100 + 101?\n<|im_start|>assistant\n"  # end-of-turn tokens left out
    assert sample.reference == "201"


@pytest.mark.parametrize("eos", [[256, 258], 256])
def test_a_model_that_learned_the_answers_scores(eos, model_folder, tmp_path):
    """Every question has one answer: the adapter learns it, its end included; the base does not know it.

    The end that it was trained to write may be none to the model's own files.
    """
    folder = Path(shutil.copytree(model_folder(), tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "eos_token_id": eos}))
    turns = [[{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "ok"}] for n in range(24)]
    lines = [json.dumps({"messages": messages}) + "\n" for messages in turns]
    (tmp_path / "train.jsonl").write_text("".join(lines[:20]))
    (tmp_path / "test.jsonl").write_text("".join(lines[20:]))
    source = Model(path=str(folder))
    data = Data(train=str(tmp_path / "train.jsonl"), test=str(tmp_path / "test.jsonl"), valid_share=0.0)
    cache = tokenize.fn(data, source, tmp_path / "cache")
    done = train_in(tmp_path / "run", cache, source, recipe(steps=25))
    scores = evaluate.fn(done.adapter, cache, source, Evaluate(max_new_tokens=8), tmp_path / "evaluate.json")
    assert (scores.split, scores.answered) == ("test", 4)
    assert (scores.metric_before, scores.metric_after) == (0.0, 1.0)
    assert {sample.after for sample in scores.samples} == {"ok"}


def test_what_it_writes_is_what_it_gives(token_cache, trained, tmp_path):
    scores = scores_of(token_cache, trained(), tmp_path, generate=1, max_new_tokens=2)
    assert json.loads((tmp_path / "evaluate.json").read_text()) == scores.model_dump(mode="json")


def test_no_held_out_rows(model_folder, trained, tmp_path):
    data = Data(train=str(write_chat(tmp_path / "a.jsonl", 4)), valid_share=0.0)
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    with pytest.raises(DataError, match=r"give data\.valid or data\.test"):
        scores_of(cache, trained(), tmp_path)


def test_nothing_is_evaluated_where_that_is_asked_for(model_folder, trained, tmp_path):
    data = Data(train=str(write_chat(tmp_path / "a.jsonl", 4)), valid_share=0.0)
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    scores = scores_of(cache, trained(), tmp_path, examples=0)
    assert (scores.examples, scores.loss_before, scores.loss_after, scores.samples) == (0, None, None, ())
    assert json.loads((tmp_path / "evaluate.json").read_text())["loss_after"] is None


def test_the_reference_is_the_answer_that_is_trained(model_folder, trained, tmp_path):
    """Not what follows it: here a turn of the user and an answer that the row does not want to be trained on."""
    turns = [("user", "red?"), ("assistant", "blue"), ("user", "two?"), ("assistant", "four")]
    messages = [{"role": role, "content": content} for role, content in turns]
    messages[-1]["train"] = False  # type: ignore[assignment]
    (tmp_path / "valid.jsonl").write_text(json.dumps({"messages": messages}))
    data = Data(train=str(write_chat(tmp_path / "a.jsonl", 4)), valid=str(tmp_path / "valid.jsonl"))
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    scores = scores_of(cache, trained(), tmp_path, generate=1, samples=1, max_new_tokens=1)
    assert scores.samples[0].reference == "blue"


def test_what_the_model_cannot_do_is_said_and_the_rest_is_measured(token_cache, trained, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise ValueError("[broadcast_shapes] no")

    monkeypatch.setattr("tasks.evaluate.answers", fails)
    scores = scores_of(token_cache, trained(), tmp_path, generate=2)
    assert (scores.answered, scores.metric_after, scores.samples) == (0, None, ())
    assert scores.loss_after is not None
    assert scores.problems == ("answers could not be measured: ValueError: [broadcast_shapes] no",)
    monkeypatch.setattr("tasks.evaluate.held_out_loss", fails)
    monkeypatch.setattr("tasks.evaluate._OF_BASES", {})
    scores = scores_of(token_cache, trained(), tmp_path, generate=2)
    assert (scores.loss_before, scores.loss_after, len(scores.problems)) == (None, None, 2)


def test_an_answer_ends_where_the_adapter_s_manifest_says(token_cache, trained, tmp_path):
    """A base whose own eos never ends a turn: what it was trained to end with comes from the adapter."""
    manifest = read_adapter_manifest(trained()[0])
    assert manifest is not None
    assert manifest.answer_ends == ["<|im_end|>"]
    assert token_cache.splits["train"].ends == {"<|im_end|>": 40}
