"""One turn of ShareGPT's."""

from tasks.data.format.sharegpt_turn import read_turn


def test_flags_are_read_and_other_keys_named():
    turn = read_turn({"from": "gpt", "value": "a", "loss": False, "thought": "hm"}, "conversations[1]")
    assert (turn.weight, turn.unread) == (0.0, {"thought": "hm"})


def test_a_function_call_is_a_tool_call():
    turn = read_turn({"from": "function_call", "value": '{"name": "f", "arguments": "{}"}'}, "conversations[1]")
    assert turn.tool_calls == ({"type": "function", "function": {"name": "f", "arguments": {}}},)
