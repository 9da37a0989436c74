"""Which template a conversation gets, and what it says of itself."""

from collections.abc import Callable

import pytest

from tasks.data.render.template import Template
from tasks.data.render.tokens import tokenize_row
from tasks.errors import DataError
from tests.data.conftest import byte_tokenizer, supervised_text
from tests.data.families import ANSWER, ASK, TEMPLATES


def test_the_templates_own_words_are_the_reason(tokenizer_of: Callable):
    template = Template(tokenizer_of(None), "{{ raise_exception('no such role') }}", {})
    with pytest.raises(DataError, match="refuses the conversation: TemplateError: no such role"):
        template.render([{"role": "user", "content": "a"}])


def test_variables_reach_the_template(tokenizer_of: Callable):
    assert Template(tokenizer_of(None), "{{ date }}", {"date": "today"}).render([{"role": "user"}]) == "today"


def test_one_of_several_by_name_is_chosen_as_transformers_does(tokenizer_of: Callable):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = {"default": TEMPLATES["chatml"], "tool_use": TEMPLATES["channels"]}
    template = Template(tokenizer, None, {})
    assert template.chosen().shape.enders == ("<|im_end|>",)
    assert template.chosen([{"name": "f"}]).shape.enders == ("<|end|>", "<|return|>")
    assert template.chosen().chosen() is template.chosen()
    tokenizer.chat_template = {"other": "a", "another": "b"}
    with pytest.raises(DataError, match="have no default"):
        Template(tokenizer, None, {}).chosen()


def test_marks_of_what_is_generated_count_in_a_list_of_templates_too():
    row = {"messages": [ASK, {**ANSWER, "reasoning_content": "r"}]}
    marked = TEMPLATES["marked"].replace("{% generation %}", "{{ m.reasoning_content }}{% generation %}")
    alone, listed = byte_tokenizer(marked), byte_tokenizer()
    listed.chat_template = {"default": marked, "tool_use": TEMPLATES["chatml"]}
    expected = tokenize_row(row, alone)
    assert supervised_text(expected, alone) == ["b<|im_end|>"]
    assert tokenize_row(row, listed) == expected


def test_a_role_as_it_is(tokenizer_of: Callable):
    as_is = {name: Template(tokenizer_of(name), None, {}).role_as_is for name in ("chatml", "inst", "tokens")}
    assert as_is == {"chatml": True, "inst": False, "tokens": False}
