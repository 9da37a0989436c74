"""Rows that no chat template renders: plain text, and a prompt with its completion where there is no template."""

from tasks.data.config import Supervise
from tasks.data.format.message import Example, Span
from tasks.data.render.rendered import Rendered
from tasks.data.render.template import Template
from tasks.errors import DataError

MARKS = (
    *("<|im_start|>assistant", "<|start_header_id|>assistant", "<start_of_turn>model", "<|start|>assistant"),
    *("<|assistant|>", "<｜Assistant｜>", "[/INST]", "### Response:"),
)
"""What stands before an answer in chats that were rendered, by the templates in widest use."""


def plain_text(text: str, named: tuple[Span, ...] | None, template: Template) -> Rendered:
    """A row of plain text, all of it a target, or the parts that it names.

    Args:
        named: (start, stop, weight) of the parts, in characters; None for all of it.
        text: the row's text; one that ends with the tokenizer's eos gets no second one, and neither does a chat that
            was rendered already and ends with a special token of its own.
        template: the tokenizer's chat template, by which a rendered chat is recognised.
    """
    whole, mark = (0, len(text)), rendered_mark(text, template)
    spans = named or ((*whole, 1.0),)
    learns_end = any(stop == whole[1] and weight for _, stop, weight in spans)
    notes = [] if mark is None or named is not None else [_looks_rendered(mark, template)]
    end, closed = _end(text, template, rendered=mark is not None)
    if not end:
        notes.append("the tokenizer has no eos: a text ends with nothing, and a model does not learn to stop")
    return Rendered(
        text,
        spans,
        plain=True,
        closed=closed,
        notes=tuple(notes),
        speakers=((*whole, "text"),),
        learns_end=learns_end,
        end=end if learns_end else "",
    )


def concatenated(example: Example, supervise: Supervise, template: Template) -> Rendered:
    """A prompt and its completion, one behind the other, where the tokenizer has no chat template.

    Raises:
        DataError: a conversation, which needs one.
    """
    roles = [message.role for message in example.messages]
    if example.answer_from is None or roles != ["user", "assistant"]:
        raise DataError(
            f"a conversation ({', '.join(roles)}) needs a chat template and the tokenizer has none; "
            "give one in data.template, or write the rows as prompt and completion, or as text"
        )
    prompt, completion = (message.content for message in example.messages)
    start = 0 if supervise == "all" else len(prompt)
    middle, stop = len(prompt), len(prompt + completion)
    speakers = ((0, middle, "user"), (middle, stop, "assistant"))
    spans, named = ((start, stop, 1.0),), example.messages[1].spans
    if named is not None:
        spans = tuple((middle + first, middle + last, weight) for first, last, weight in named)
    learns_end = any(last == stop and weight for _, last, weight in spans)
    end, closed = _end(completion, template, rendered=False)
    return Rendered(
        prompt + completion,
        spans,
        middle,
        plain=True,
        closed=closed,
        speakers=speakers,
        learns_end=learns_end,
        end=end if learns_end else "",
    )


def rendered_mark(text: str, template: Template) -> str | None:
    """What shows that a text is a chat that was rendered already; None where nothing does.

    Example:
        >>> from types import SimpleNamespace
        >>> bare = Template(SimpleNamespace(chat_template=None), None, {})
        >>> rendered_mark("<|im_start|>assistant\\nHello<|im_end|>", bare), rendered_mark("Hello", bare)
        ('<|im_start|>assistant', None)
    """
    marks = list(MARKS)
    if template.exists:
        header = template.chosen().shape.header.strip()
        marks = [header, *marks] if template.special_pattern.search(header) else marks
    return next((mark for mark in marks if mark in text), None)


def _looks_rendered(mark: str, template: Template) -> str:
    foreign = "" if template.special_pattern.search(mark) else ", by a template whose marks are no tokens of this model"
    return (
        f"the text looks like a chat that was rendered already ({mark!r}{foreign}): all of it is learned, the user's "
        "words too; write such rows as messages to learn the answers alone"
    )


def _end(text: str, template: Template, *, rendered: bool) -> tuple[str, bool]:
    """What a text ends with, and whether that stands in it already."""
    eos = getattr(template.tokenizer, "eos_token", None) or ""
    core = text.rstrip()
    if eos and core.endswith(eos):
        return eos, True
    ends = [special for special in template.specials if core.endswith(special)] if rendered else []
    return (ends[0], True) if ends else (eos, False)
