"""Which messages are picked, and with what weight."""

import pytest

from tasks.data.config import Supervise
from tasks.data.format.message import Example, Message
from tasks.data.render.supervise import message_weights

TOOLS = (
    Message("user", "a"),
    Message("assistant", "b"),
    Message("user", "c"),
    Message("assistant", "call"),
    Message("tool", "d"),
    Message("assistant", "e", weight=0.5),
)


@pytest.mark.parametrize(
    ("supervise", "weights"),
    [
        ("assistant", [0, 1, 0, 1, 0, 0.5]),
        ("last", [0, 0, 0, 0, 0, 0.5]),
        ("completion", [0, 0, 0, 1, 0, 0.5]),
        ("all", [1, 1, 1, 1, 1, 0.5]),
    ],
)
def test_picks(supervise: Supervise, weights: list[float]):
    assert message_weights(Example("chat", messages=TOOLS), supervise) == weights


def test_only_the_completion_of_a_pair():
    assert message_weights(Example("completions", messages=TOOLS, answer_from=3), "assistant") == [0, 0, 0, 1, 0, 0.5]
