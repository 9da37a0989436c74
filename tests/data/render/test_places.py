"""Places of messages, by marks."""

import json

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.render.places import locate


def plain(messages: list[dict]) -> str:
    return "".join(f"<{m['role']}>{m['content']}</{m['role']}>" for m in messages)


@given(st.lists(st.text(max_size=8), max_size=6))
def test_a_place_is_where_the_stripped_content_stands(contents: list[str]):
    messages = [{"role": "user", "content": text} for text in contents]
    text = plain(messages)
    for message, place in zip(messages, locate(messages, text, plain), strict=True):
        core = message["content"].strip()
        if core:
            assert place.start is not None
            assert text[place.start : place.stop] == core
        else:
            assert place.start is None


def test_a_template_that_looks_into_a_content_is_still_followed():
    def peeks(messages: list[dict]) -> str:
        return "".join("[tag]" if m["content"].startswith("#") else f"({m['content']})" for m in messages)

    messages = [{"content": "a"}, {"content": "#b"}, {"content": "c"}]
    places = locate(messages, peeks(messages), peeks)
    assert [place.start for place in places] == [1, None, 9]
    assert places[1].lost == ("content",)


def test_calls_that_the_template_escapes_leave_the_content_marked():
    def template(messages: list[dict]) -> str:
        return messages[0]["content"] + ascii(messages[0]["tool_calls"])

    messages = [{"content": "abc", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]}]
    (place,) = locate(messages, template(messages), template)
    assert (place.start, place.stop) == (0, 3)


def test_left_out_rewritten_and_repeated_are_told():
    def template(messages: list[dict]) -> str:
        return messages[0]["content"] * 2 + messages[1]["content"].split("/")[-1]

    messages = [{"content": "a"}, {"content": "b/c"}, {"content": "d"}]
    twice, cut, gone = locate(messages, template(messages), template)
    assert twice.repeated
    assert cut.lost == ("start of content",)
    assert gone.lost == ("content",)


def test_other_words_are_told():
    def template(messages: list[dict]) -> str:
        return messages[0]["content"].upper() + messages[1]["content"]

    messages = [{"content": "a"}, {"content": "b"}]
    assert [place.rewritten for place in locate(messages, template(messages), template)] == [True, False]


def test_marks_already_in_the_text_are_not_confused():
    messages = [{"role": "user", "content": "\U000f0000a\U00100000"}]
    (place,) = locate(messages, plain(messages), plain)
    assert (place.start, place.stop) == (6, 9)
    everything = [{"role": "user", "content": "\U000f0000\U00100000\ue000"}]
    assert not locate(everything, plain(everything), plain)[0].known


def test_tool_calls_and_reasoning_belong_to_the_place():
    def template(messages: list[dict]) -> str:
        m = messages[0]
        return f"<{m['reasoning_content']}|{json.dumps(m['tool_calls'], ensure_ascii=False)}>"

    call = {"type": "function", "function": {"name": "f", "arguments": {"a": ["x", 1]}}}
    messages = [{"content": "", "reasoning_content": "r", "tool_calls": [call]}]
    text = template(messages)
    (place,) = locate(messages, text, template)
    assert place.start == 1
    assert place.stop is not None
    assert text[: place.stop].endswith("x")


def test_a_call_whose_name_is_written_again_elsewhere_stands_where_it_is_written_first():
    def template(messages: list[dict]) -> str:
        call = messages[0]["tool_calls"][0]["function"]
        arguments = json.dumps(call["arguments"], ensure_ascii=False)
        return f"{call['name']} {arguments}|{call['name']} says {messages[1]['content']}"

    def twice(messages: list[dict]) -> str:
        return json.dumps(messages[0]["tool_calls"][0]["function"]["arguments"], ensure_ascii=False) * 2

    call = {"type": "function", "function": {"name": "f", "arguments": {"a": "x"}}}
    messages = [{"content": "", "tool_calls": [call]}, {"content": "y"}]
    text = template(messages)
    place = locate(messages, text, template)[0]
    assert (text[place.start : place.stop], place.repeated) == ('f {"a": "x', False)
    assert locate(messages, twice(messages), twice)[0].repeated
