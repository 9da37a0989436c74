"""Which messages of an example are targets, and with what weight."""

from tasks.data.config import Supervise
from tasks.data.format.message import Example


def message_weights(example: Example, supervise: Supervise) -> list[float]:
    """The weight of each message's turn.

    `supervise` picks the turns; a message's own `weight` or `train` refines the pick, and `train: true` adds a turn of
    any role where `supervise` is `assistant`. In a prompt/completion row only the completion is ever picked.

    Example:
        >>> from tasks.data.format.message import Message
        >>> turns = Message("user", "a"), Message("assistant", "b"), Message("user", "c"), Message("assistant", "d")
        >>> message_weights(Example("chat", messages=turns), "last")
        [0.0, 0.0, 0.0, 1.0]
    """
    messages = example.messages
    answers = [n for n, m in enumerate(messages) if m.role == "assistant"]
    if example.answer_from is not None:
        answers = [n for n in answers if n >= (example.answer_from or 0)]
    # Turns behind the last answer are context: nothing answers them.
    last_user = max((n for n, m in enumerate(messages[: max(answers, default=0)]) if m.role == "user"), default=-1)
    match supervise:
        case "last":
            picked = set(answers[-1:])
        case "completion":
            picked = {n for n in answers if example.answer_from is not None or n > last_user}
        case "all":
            picked = set(range(len(messages)))
        case "assistant":
            picked = set(answers) | {n for n, m in enumerate(messages) if m.weight}
    return [
        (1.0 if message.weight is None else message.weight) if n in picked else 0.0
        for n, message in enumerate(messages)
    ]
