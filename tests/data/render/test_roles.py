"""A role that the template does not know is mapped, or said."""

import json
from collections.abc import Callable
from pathlib import Path

from tasks.data.render.tokens import tokenize_row
from tests.data.families import ANSWER, ASK, TEMPLATES

DEVELOPER = {"role": "developer", "content": "d"}
TOOL = {"role": "tool", "content": "t"}


def test_a_developer_is_the_system_to_a_template_without_one(tokenizer_of: Callable):
    tokenizer = tokenizer_of("chatml")
    tokens = tokenize_row({"messages": [DEVELOPER, ASK, ANSWER]}, tokenizer)
    system = tokenize_row({"messages": [{**DEVELOPER, "role": "system"}, ASK, ANSWER]}, tokenizer)
    assert tokens.ids == system.ids
    assert tokens.notes == ("the template does not know the role 'developer': written as 'system'",)
    assert not system.notes


def test_a_template_that_names_the_developer_writes_one(tokenizer_of: Callable):
    template = TEMPLATES["chatml"] + "{# developer, tool #}"
    tokens = tokenize_row({"messages": [DEVELOPER, ASK, ANSWER, TOOL, ANSWER]}, tokenizer_of(None), template=template)
    assert tokenizer_of(None).decode(tokens.ids).startswith("<|im_start|>developer")
    assert not tokens.notes


def test_another_role_that_is_written_as_it_is_is_said(tokenizer_of: Callable):
    tokens = tokenize_row({"messages": [ASK, ANSWER, TOOL, ANSWER]}, tokenizer_of("chatml"))
    assert tokens.notes == ("the template does not know the role 'tool' and writes it as it is",)
    assert not tokenize_row({"messages": [ASK, ANSWER, TOOL, ANSWER]}, tokenizer_of("after tools")).notes


def test_the_case_of_a_developer(shared_cases: Path, tokenizer_of: Callable):
    row = json.loads((shared_cases / "developer_role.jsonl").read_text("utf-8").splitlines()[0])
    text = tokenizer_of("chatml").decode(tokenize_row(row, tokenizer_of("chatml")).ids)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>")
