"""What a template did to a row, told: what it left out, rewrote or added."""

import json
import re
from datetime import datetime
from typing import Any

from tasks.data.format.message import Example
from tasks.data.render.places import Place
from tasks.data.render.template import Template

# As Jinja's `escape` and its own `tojson` write quotes, brackets and ampersands.
_ESCAPES = re.compile(r"&(?:quot|apos|lt|gt|amp|#34|#39|#x27);|\\u00(?:22|26|27|3[cCeE])")


def remarks(
    example: Example,
    places: list[Place],
    template: Template,
    text: str,
    tools: list[Any] | None,
    messages: list[dict[str, Any]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the template left out of a row, and what else a person should know of it.

    Args:
        example: the row.
        places: where each message stands in the render.
        template: what rendered it.
        text: the render.
        tools: what the template was given as tools.
        messages: what it was given as messages.

    Returns:
        (lost, notes): `lost` would make a strict run a lie, `notes` are by design of the template or of the row.
    """
    lost, notes = [], []
    last = len(messages) - 1
    for n, (message, place) in enumerate(zip(example.messages, places, strict=True)):
        if place.rewritten:
            notes.append(f"the template rewrites the content of a message of role {message.role!r}")
        if message.role == "assistant" and not message.content.strip() and not message.tool_calls:
            notes.append("an assistant message is empty: only its end is learned")
        for part in place.lost:
            if part == "reasoning" and n < last:  # by design: many templates keep only the newest reasoning
                notes.append("the template leaves out the reasoning of an earlier turn")
            elif part == "argument" and "tool call" in place.lost:
                continue
            elif part == "start of content":
                notes.append(f"the template rewrites the beginning of a message of role {message.role!r}")
            else:
                lost.append(f"the template leaves out the {part} of a message of role {message.role!r}")
    if example.messages[-1].role != "assistant":
        notes.append(f"the conversation ends with a turn of {example.messages[-1].role!r}, which is context alone")
    if tools and template.render(messages) == text:
        lost.append("the template leaves out the tools")
    if escapes := escaped(text, json.dumps([messages, tools], ensure_ascii=False) + (template.text or "")):
        notes.append(f"the template writes characters of the row as escapes ({', '.join(escapes)})")
    if any(datetime.now().strftime(form) in text for form in template.date_formats):
        notes.append("the template writes today's date; fix it in data.template_kwargs")
    return tuple(dict.fromkeys(lost)), tuple(dict.fromkeys(notes))


def escaped(text: str, source: str) -> list[str]:
    """The HTML escapes in a render that do not stand in what it was made from.

    Example:
        >>> escaped("He said &#34;no&#34; &amp; left", 'He said "no" &amp; left')
        ['&#34;']
    """
    return [escape for escape in dict.fromkeys(_ESCAPES.findall(text)) if escape not in source]


def foreign_specials(example: Example, template: Template) -> tuple[str, ...]:
    """Each special token that stands in the row's own texts: the tokenizer takes it for a real one.

    In a user's words it is how a conversation is forged; in an assistant's it teaches to write it there.

    Example:
        >>> from transformers import PreTrainedTokenizerFast
        >>> from tokenizers import Tokenizer, models
        >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), eos_token="</s>")
        >>> foreign_specials(Example("text", text="a</s>b"), Template(tokenizer, None, {}))
        ("'</s>' in a plain text",)
    """
    texts = [("a plain text", example.text or "")]
    for message in example.messages:
        calls = json.dumps(message.tool_calls, ensure_ascii=False) if message.tool_calls else ""
        texts.append(
            (f"a message of role {message.role!r}", "\n".join((message.reasoning or "", message.content, calls)))
        )
    return tuple(
        f"{match.group()!r} in {where}" for where, text in texts for match in template.special_pattern.finditer(text)
    )
