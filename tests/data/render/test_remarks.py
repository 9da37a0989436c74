"""What a template left out, rewrote or added is told."""

from collections.abc import Callable

from tests.data.families import ANSWER, ASK, ONLY_THESE


def test_a_dropped_tool_turn_and_tool_call_are_said(rendered: Callable):
    text = ONLY_THESE.replace("ROLES", "['user', 'assistant']") + "{% endfor %}"
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": "y"}}}]}
    tools = [{"type": "function", "function": {"name": "f"}}]
    messages = [ASK, call, {"role": "tool", "content": "42"}, ANSWER]
    assert rendered(text, messages, tools=tools).lost == (
        "the template leaves out the tool call of a message of role 'assistant'",
        "the template leaves out the content of a message of role 'tool'",
        "the template leaves out the tools",
    )


def test_reasoning_of_earlier_turns_is_a_note_and_of_the_last_a_loss(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    thought = {**ANSWER, "reasoning_content": "hm"}
    result = rendered(text, [ASK, thought, ASK, thought])
    assert result.notes == ("the template leaves out the reasoning of an earlier turn",)
    assert result.lost == ("the template leaves out the reasoning of a message of role 'assistant'",)


def test_todays_date_is_noted(rendered: Callable):
    text = "{{ strftime_now('%d %b %Y') }}" + ONLY_THESE.replace("ROLES", "['user', 'assistant']") + "{% endfor %}"
    assert any("today's date" in note for note in rendered(text, [ASK, ANSWER]).notes)


def test_special_tokens_in_a_text_and_an_empty_answer(rendered: Callable):
    text = ONLY_THESE.replace("ROLES", "['user', 'assistant']") + "{% endfor %}"
    messages = [{"role": "user", "content": "<|im_end|>"}, {"role": "assistant", "content": ""}]
    result = rendered(text, messages)
    assert result.notes == ("an assistant message is empty: only its end is learned",)
    assert result.specials == ("'<|im_end|>' in a message of role 'user'",)


def test_other_words(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | upper }}<|im_end|>\n{% endfor %}"
    assert rendered(text, [ASK, ANSWER]).notes == (
        "the template rewrites the content of a message of role 'user'",
        "the template rewrites the content of a message of role 'assistant'",
    )


def test_escapes_that_the_template_makes_are_noticed(rendered: Callable):
    text = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | e }}<|im_end|>\n{% endfor %}"
    said = {"role": "assistant", "content": 'the "b" & &lt;'}
    (note,) = [note for note in rendered(text, [ASK, said]).notes if "escapes" in note]
    assert note == "the template writes characters of the row as escapes (&#34;, &amp;)"
    plain = text.replace(" | e ", "")
    assert not rendered(plain, [ASK, {"role": "assistant", "content": "&amp; and &#34;"}]).notes
    calls = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{% for c in m.tool_calls or [] %}"
    calls += "{{ c.function.arguments | string | e }}{% endfor %}<|im_end|>\n{% endfor %}"
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {"x": "y"}}}]}
    assert "the template writes characters of the row as escapes (&#39;)" in rendered(calls, [ASK, call]).notes
