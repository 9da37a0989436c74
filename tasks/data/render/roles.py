"""Roles that a chat template does not know."""

from dataclasses import replace

from tasks.data.format.message import Example
from tasks.data.render.template import Template

_PLAIN = ("system", "user", "assistant")


def known_roles(example: Example, template: Template) -> tuple[Example, tuple[str, ...]]:
    """The example in roles that the template knows, and what a person should know of it.

    A developer's message is a system message to every model that has no developer; a template that does not name the
    role would write it as it is, or leave it out.

    Args:
        example: a conversation.
        template: the one that renders it; it knows a role that its source names.

    Example:
        >>> from types import SimpleNamespace
        >>> from tasks.data.format.message import Message
        >>> template = Template(SimpleNamespace(chat_template="{{ messages }}"), None, {})
        >>> known_roles(Example("chat", (Message("developer", "Be brief."),)), template)[0].messages[0].role
        'system'
    """
    source, notes = template.text or "", []
    for role in dict.fromkeys(message.role for message in example.messages):
        if role in _PLAIN or role in source:
            continue
        if role == "developer":
            messages = (replace(m, role="system") if m.role == role else m for m in example.messages)
            example = replace(example, messages=tuple(messages))
            notes.append("the template does not know the role 'developer': written as 'system'")
        elif template.role_as_is:
            notes.append(f"the template does not know the role {role!r} and writes it as it is")
    return example, tuple(notes)
