"""Keys of messages that a template does not look at."""

from collections.abc import Callable

from tasks.data.format.formats import parse_row
from tasks.data.render.template import Template
from tasks.data.render.unread_keys import unread_keys
from tests.data.families import ANSWER, ASK


def test_by_the_words_of_the_template_of_one_or_of_several(tokenizer_of: Callable):
    example = parse_row({"messages": [{**ASK, "name": "Ann", "mood": "glad"}, ANSWER]})
    tokenizer = tokenizer_of("chatml")
    assert [key.name for key in unread_keys(example, Template(tokenizer, None, {}))] == [
        "messages[].name",
        "messages[].mood",
    ]
    own = Template(tokenizer, "{{ messages[0]['name'] }}", {})
    assert [key.name for key in unread_keys(example, own)] == ["messages[].mood"]
    kept, tokenizer.chat_template = tokenizer.chat_template, {"default": "{{ m.mood }}", "tool_use": "x\n{{ m.name }}"}
    try:
        assert list(unread_keys(example, Template(tokenizer, None, {}))) == []
    finally:
        tokenizer.chat_template = kept
