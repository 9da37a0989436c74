"""The keys of messages that are given to a chat template which does not look at them."""

import re
from collections.abc import Iterator
from functools import lru_cache

from tasks.data.format.message import Example
from tasks.data.format.unread import Unread, describe_unread
from tasks.data.render.template import Template


def unread_keys(example: Example, template: Template) -> Iterator[Unread]:
    """Yields each value of a message's further keys whose name stands nowhere in the template.

    Args:
        example: the row.
        template: what renders it.

    Example:
        >>> from transformers import PreTrainedTokenizerFast
        >>> from tokenizers import Tokenizer, models
        >>> from tasks.data.format.message import Message
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
        >>> template = Template(tokenizer, "{{ messages[0].name }}", {})
        >>> example = Example("chat", (Message("user", "a", extra={"name": "Ann", "mood": 3}),))
        >>> [key.name for key in unread_keys(example, template)]
        ['messages[].mood']
    """
    if not any(message.extra for message in example.messages):
        return
    read = _words(template.override or repr(getattr(template.tokenizer, "chat_template", None)))
    texts = [text for message in example.messages for text in (message.content, message.reasoning or "")]
    for message in example.messages:
        for key, value in message.extra.items():
            if key not in read:
                yield describe_unread(f"messages[].{key}", value, texts)


@lru_cache(maxsize=8)
def _words(template: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", template.replace("\\n", " ")))
