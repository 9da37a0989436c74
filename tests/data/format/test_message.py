"""What a template is given."""

from tasks.data.format.message import Message


def test_absent_keys_are_left_out():
    call = {"type": "function", "function": {"name": "f", "arguments": {}}}
    message = Message("assistant", reasoning="r", tool_calls=(call,), weight=0.5)
    assert message.as_template_input() == {
        "role": "assistant",
        "content": "",
        "reasoning_content": "r",
        "tool_calls": [call],
    }
    assert message.as_template_input(arguments_as_text=True)["tool_calls"][0]["function"]["arguments"] == "{}"
