"""One operation of a template makes so much and no more, however it is written; what templates do every day goes on."""

import pytest

from tasks.data.render.template import Template
from tasks.errors import DataError
from tests.tiny import byte_tokenizer

TURNS = [{"role": "user", "content": "a\nb"}]
BOMBS = [
    "'a' * 10**10",
    "10**10 * 'a'",
    "[1] * (10**9)",
    "10 ** (10 ** 10)",
    "(7 ** 9999) * (7 ** 9999) * (7 ** 9999)",
    "'%10000000000d' % 1",
    "'%*d' % (10**10, 1)",
    "'%10000000000d' | format(1)",
    "'{:10000000000}'.format(1)",
    "'{:{}}'.format(1, 10**10)",
    "'{a:{b}}'.format_map({'a': 1, 'b': 10**10})",
    "messages[0].content.center(10**10)",
    "'a'.ljust(10**10)",
    "'a'.zfill(10**10)",
    "'\\t'.expandtabs(10**10)",
    "'a' | center(10**10)",
    "'a\\nb' | indent(10**10)",
    "messages | tojson(indent=10**10)",
    "messages | batch(10**10, 'a') | list",
    "messages | slice(10**10) | list",
    "('a' * 10**6) | replace('a', 'b' * 10**6)",
    "('a' * 10**6).replace('', 'b' * 10**6)",
    "('a' * 10**6).join('b' * 10**6)",
    "range(10**5) | join('b' * 10**6)",
    "range(10**10)",
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_operation_beyond_the_bound_is_refused(bomb: str) -> None:
    for text in (f"{{{{ {bomb} }}}}", f"{{% generation %}}{{{{ {bomb} }}}}{{% endgeneration %}}"):
        template = Template(byte_tokenizer(), text, {})
        with pytest.raises(DataError, match=r"refuses the conversation: (SecurityError|OverflowError)"):
            template.render(TURNS)
    with pytest.raises(DataError, match=r"refuses the conversation: (SecurityError|OverflowError)"):
        template.generation_spans(TURNS, None)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("{{ '-' * 3 }}{{ 2 ** 10 }}{{ 7 % 4 }}", "---10243"),
        ("{{ '%05d|%s' % (7, 10**9) }}", "00007|1000000000"),
        ("{{ '{} of {:>3}'.format(1764125291000, 2) }}", "1764125291000 of   2"),
        ("{{ 'a' | center(5) }}{{ 'a\\nb' | indent(2) }}", "  a  a\n  b"),
        ("{{ messages | tojson }}", '[{"role": "user", "content": "a\\nb"}]'),
        ("{{ messages | map(attribute='role') | join(', ') }}{{ ' a '.strip().replace('a', 'b') }}", "userb"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
    ],
)
def test_what_templates_do_every_day_goes_on(text: str, made: str) -> None:
    assert Template(byte_tokenizer(), text, {}).render(TURNS) == made
