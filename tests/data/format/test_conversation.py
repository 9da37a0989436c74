"""Lists of messages, whoever's words they are in."""

import json

import pytest

from tasks.data.format.conversation import read_conversation, read_messages
from tasks.errors import DataError

OPENAI = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
SHAREGPT = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]


@pytest.mark.parametrize("key", ["messages", "conversations"])
@pytest.mark.parametrize("turns", [OPENAI, SHAREGPT, json.dumps(OPENAI), json.dumps(SHAREGPT)])
def test_either_words_under_either_column_as_a_list_or_as_text(key: str, turns: object):
    assert [(m.role, m.content) for m in read_messages(turns, key)] == [("user", "a"), ("assistant", "b")]


def test_a_last_turn_of_the_user_is_no_mistake():
    assert len(read_conversation({"messages": [*OPENAI, OPENAI[0]]}, "messages")) == 3
    with pytest.raises(DataError, match="no message is 'assistant'"):
        read_conversation({"messages": OPENAI[:1]}, "messages")
