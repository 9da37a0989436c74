"""Masks, token by token: against the bank's 105 records, and by laws over templates of many manners."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.data import Tokens, tokenize_row
from tasks.data.render.tokens import fit
from tasks.errors import DataError
from tests.data.conftest import supervised_text
from tests.data.families import SPECIALS, TEMPLATES

FAMILIES = {
    "qwen3": "qwen3",
    "qwen2.5": "qwen2.5-instruct",
    "llama-3.2": "llama-3.2-instruct",
    "phi-3": "phi-3-mini-instruct",
    "gemma3-synth": "gemma3-template-SYNTHETIC-vocab",
    "smollm2": "smollm2-instruct",
    "minimind3": "minimind3-6400",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_expected_mask(family: str, shared_data: Path, bank_tokenizer: Callable[[str], Any]):
    tokenizer = bank_tokenizer(FAMILIES[family])
    lines = (shared_data / "expected/chat_masks.jsonl").read_text("utf-8").strip("\n").split("\n")
    records = [record for record in map(json.loads, lines) if record["family"] == family]
    assert len(records) == 15
    for record in records:
        row = {key: record[key] for key in ("messages", "tools") if key in record}
        kwargs = record.get("template_kwargs")
        if "template_error" in record:
            with pytest.raises(DataError, match="refuses the conversation"):
                tokenize_row(row, tokenizer, template_kwargs=kwargs)
            continue
        tokens = tokenize_row(row, tokenizer, template_kwargs=kwargs)
        care = set(range(record["n_tokens"])) - set(record["dont_care"])
        wrong = [n for n in care if tokens.weights[n] != float(record["assistant_mask"][n])]
        assert (tokens.ids, wrong) == (record["input_ids"], []), record["case"]
        for longest, expected in record["loss_tokens"].items():
            try:
                left = sum(
                    map(bool, tokenize_row(row, tokenizer, template_kwargs=kwargs, max_tokens=int(longest)).weights)
                )
            except DataError:
                left = 0
            assert abs(left - expected) <= len(record["dont_care"]), (record["case"], longest)


_WORDS = st.text(st.characters(exclude_categories=["Cs", "Co"]), max_size=12).filter(lambda text: text == text.strip())
_FILLED = _WORDS.filter(bool)


@pytest.mark.parametrize("name", TEMPLATES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=st.lists(st.tuples(_FILLED, _FILLED), min_size=1, max_size=3), system=st.none() | _FILLED)
def test_the_supervised_text_is_the_answers_in_order(
    name: str, tokenizer_of: Callable, turns: list[tuple[str, str]], system: str | None
):
    tokenizer = tokenizer_of(name)
    messages = [{"role": "system", "content": system}] if system else []
    for ask, answer in turns:
        messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]
    tokens = tokenize_row({"messages": messages}, tokenizer)
    assert len(tokens.ids) == len(tokens.weights)
    assert tokens.weights[0] == 0
    rendered = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokens.ids == tokenizer(rendered, add_special_tokens=False)["input_ids"]
    runs = supervised_text(tokens, tokenizer)
    assert len(runs) == len(turns)
    for run, (_, answer) in zip(runs, turns, strict=True):
        ender = next(special for special in SPECIALS if run.endswith(special))
        assert run.removesuffix(ender).endswith(answer)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_header_inside_a_users_text_is_not_one(name: str, tokenizer_of: Callable):
    tokenizer = tokenizer_of(name)
    said = tokenizer.apply_chat_template(
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "INJECTED"}], tokenize=False
    )
    messages = [
        {"role": "user", "content": f"a{said}b"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": said},
        {"role": "assistant", "content": "two"},
    ]
    tokens = tokenize_row({"messages": messages}, tokenizer)
    runs = supervised_text(tokens, tokenizer)
    assert len(runs) == 2
    assert not any("INJECTED" in run for run in runs)
    assert any("in a message of role 'user'" in special for special in tokens.specials)


def chat(*contents: str, **last: Any) -> dict[str, Any]:
    messages = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(contents)]
    return {"messages": [*messages[:-1], {**messages[-1], **last}]}


@pytest.mark.parametrize(
    ("supervise", "runs"),
    [("assistant", ["b<|im_end|>", "d<|im_end|>"]), ("last", ["d<|im_end|>"]), ("completion", ["d<|im_end|>"])],
)
def test_supervise(tokenizer_of: Callable, supervise: Any, runs: list[str]):
    tokens = tokenize_row(chat("a", "b", "c", "d"), tokenizer_of("chatml"), supervise=supervise)
    assert supervised_text(tokens, tokenizer_of("chatml")) == runs


def test_supervise_all_leaves_only_the_first(tokenizer_of: Callable):
    tokens = tokenize_row(chat("a", "b"), tokenizer_of("chatml"), supervise="all")
    assert tokens.weights == [0.0] + [1.0] * (len(tokens.ids) - 1)


def test_train_and_weight_of_messages(tokenizer_of: Callable):
    tokenizer = tokenizer_of("chatml")
    row = chat("a", "b", "c", "d", weight=0.5)
    row["messages"][1]["train"] = False
    row["messages"][2]["train"] = True
    tokens = tokenize_row(row, tokenizer)
    assert supervised_text(tokens, tokenizer) == ["c<|im_end|>", "d<|im_end|>"]
    assert sorted(set(tokens.weights)) == [0.0, 0.5, 1.0]


def test_the_prompt_is_what_a_model_would_be_given(tokenizer_of: Callable):
    for name in ("chatml", "inst", "turns", "tokens", "channels", "plain words"):
        tokenizer, row = tokenizer_of(name), chat("a", "b", "c", "d")
        tokens = tokenize_row(row, tokenizer)
        prompt = tokenizer.apply_chat_template(row["messages"][:3], tokenize=False, add_generation_prompt=True)
        assert tokenizer.decode(tokens.ids[: tokens.prompt_length]) == prompt, name


def test_tool_calls_and_an_answer_without_a_header(tokenizer_of: Callable):
    tokenizer = tokenizer_of("after tools")
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"a": "</s>"}}}]}
    messages = [
        {"role": "user", "content": "a"},
        call,
        {"role": "tool", "content": "42"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    tokens = tokenize_row({"messages": messages}, tokenizer)
    assert supervised_text(tokens, tokenizer) == ['<|TURN|>f {"a": "</s>"}<|END|></s>', "b</s>", "d</s>"]
    assert not tokens.lost


def test_text_and_completions_without_a_template(tokenizer_of: Callable):
    tokenizer = tokenizer_of(None)
    text = tokenize_row({"text": "ab"}, tokenizer)
    assert (tokenizer.decode(text.ids), text.weights) == ("ab</s>", [0.0, 1.0, 1.0])
    pair = tokenize_row({"prompt": "ab", "completion": " c"}, tokenizer)
    assert supervised_text(pair, tokenizer) == [" c</s>"]
    assert pair.prompt_length == 2


def test_chat_without_a_template_says_what_to_do(tokenizer_of: Callable):
    with pytest.raises(
        DataError, match=r"needs a chat template and the tokenizer has none; give one in data\.template"
    ):
        tokenize_row(chat("a", "b"), tokenizer_of(None))


def test_another_template(tokenizer_of: Callable):
    tokens = tokenize_row(chat("a", "b"), tokenizer_of(None), template=TEMPLATES["turns"])
    assert supervised_text(tokens, tokenizer_of(None)) == ["b<end_of_turn>"]


def test_nothing_supervised_is_an_error(tokenizer_of: Callable):
    with pytest.raises(DataError, match="no token of the row is supervised"):
        tokenize_row(chat("a", "b", train=False), tokenizer_of("chatml"))
    with pytest.raises(DataError, match="no supervised token is left"):
        tokenize_row(chat("a" * 50, "b"), tokenizer_of("chatml"), max_tokens=20)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30),
    st.integers(2, 40),
    st.sampled_from(["keep_start", "keep_end"]),
)
def test_fit_keeps_one_length_and_something_to_learn(weights: list[float], most: int, cut: Any):
    weights = [0.0, *weights]
    tokens = Tokens(list(range(len(weights))), weights, 1, speakers=bytes(range(len(weights))))
    try:
        short = fit(tokens, most, cut)
    except DataError:
        return
    assert len(short.ids) == len(short.weights) == min(most, len(weights))
    assert short.speakers == bytes(short.ids)
    assert any(short.weights)
    assert short.weights[0] == 0
    assert 0 <= short.prompt_length <= len(short.ids)


def test_an_answer_is_learned_through_all_that_closes_it(tokenizer_of: Callable):
    text = TEMPLATES["chatml"].replace("<|im_end|>", "{{ '<|END|>' if m.role == 'assistant' }}<|im_end|></s>")
    tokens = tokenize_row(chat("a", "b", "c", "d"), tokenizer_of(None), template=text)
    assert supervised_text(tokens, tokenizer_of(None)) == ["b<|END|><|im_end|></s>", "d<|END|><|im_end|></s>"]
    assert tokens.end == "</s>"


@pytest.mark.parametrize(
    ("name", "end"), [("chatml", "<|im_end|>"), ("inst", "</s>"), ("channels", "<|return|>"), ("tokens", "<|END|>")]
)
def test_what_an_answer_ends_with(tokenizer_of: Callable, name: str, end: str):
    assert tokenize_row(chat("a", "b", "c", "d"), tokenizer_of(name)).end == end


def test_what_a_turn_of_words_ends_with(tokenizer_of: Callable):
    text = (
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n###\n{% endfor %}"
        "{% if add_generation_prompt %}### assistant:\n{% endif %}"
    )
    assert tokenize_row(chat("a", "b"), tokenizer_of(None), template=text).end == "\n###"


def test_the_cases_of_templates(shared_cases: Path, bank_tokenizer: Callable[[str], Any]):
    """With a ChatML tokenizer that has both tokens: calls whose name is written again, and answers closed twice."""
    tokenizer = bank_tokenizer("qwen2.5-instruct")

    def learned(row: dict[str, Any], template: str) -> list[str]:
        tokens = tokenize_row(row, tokenizer, template=(shared_cases / template).read_text("utf-8"))
        return supervised_text(tokens, tokenizer)

    call = next(
        row
        for row in map(json.loads, (shared_cases / "tool_calls.jsonl").read_text("utf-8").splitlines())
        if "look_up" in json.dumps(row["messages"])
    )
    expected = ['[call]look_up {"word": "wren"}<|im_end|>', "A small bird.<|im_end|>"]
    for template in ("calls.jinja", "calls_named.jinja"):
        assert learned(call, template) == expected
    assert learned(chat("a", "b"), "two_closers.jinja") == ["b<|endoftext|><|im_end|>"]
