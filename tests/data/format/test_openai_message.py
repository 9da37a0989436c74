"""One message of OpenAI's."""

import pytest

from tasks.data.format.openai_message import read_message, read_tools
from tasks.errors import DataError


def test_what_stands_beside_the_reasoning_that_is_read_is_not_lost():
    item = {"role": "assistant", "content": "a", "reasoning": "r", "thinking": "t", "reasoning_content": ""}
    message = read_message(item, "messages[1]")
    assert (message.reasoning, message.unread) == ("r", {"thinking": "t"})


def test_the_older_function_role_and_functions():
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a": 1}'}}
    assert read_message(call, "messages[1]").tool_calls[0]["function"] == {"name": "f", "arguments": {"a": 1}}
    answer = read_message({"role": "function", "name": "f", "content": "2"}, "messages[2]")
    assert answer.as_template_input() == {"role": "tool", "content": "2", "name": "f"}
    assert read_tools({"tools": None, "functions": '[{"name": "f"}]'})[0]["function"] == {"name": "f"}
    with pytest.raises(DataError, match="'functions' is a number"):
        read_tools({"functions": 3})
