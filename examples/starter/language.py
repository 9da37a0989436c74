"""The small English that the starter model speaks: its words, the base skills, and the new skill of the dataset.

Every function takes a `random.Random` and returns one (prompt, answer) pair of strings, so that a seed names a
dataset. Nothing here is outside data: the sentences come from the word lists below.
"""

# ruff: noqa: SIM905  (a word list reads best as one string)

import json
from collections.abc import Callable
from random import Random

Pair = tuple[str, str]
"""A prompt and its one right answer."""

ANIMALS = "fox bear owl wolf cat dog hen goat mouse horse duck frog deer hare crow bee".split()
LOOKS = "red big old tall small young quick brave quiet happy white black clever kind wild sleepy".split()
ACTIONS = "runs sings sleeps waits jumps plays hides walks eats rests dances works".split()
PLACES = "river hill barn forest garden house lake road bridge field tower mill gate village".split()
WAYS = "by near behind at under".split()
OTHERS = "the is and a who where does like looks sun moon rain snow day night tree stone song bread milk".split()
WORDS = ANIMALS + LOOKS + ACTIONS + PLACES + WAYS + OTHERS
NUMBERS = "zero one two three four five six".split()

ORDERS = [
    "the {looks} {who} {does} {way} the {where}",
    "{way} the {where} the {looks} {who} {does}",
    "the {who} is {looks} and {does} {way} the {where}",
    "{way} the {where} the {who} {does}",
    "the {who} {does} {way} the {where}",
    "the {looks} {who} {does}",
    "the {who} is {looks} and {does}",
]
"""The shapes of a sentence."""


def phrase(rng: Random) -> list[str]:
    """Two to six words in any order."""
    return rng.choices(WORDS, k=rng.randint(2, 6))


def scene(rng: Random) -> tuple[str, dict[str, str]]:
    """A sentence that says how an animal looks, where it acts, or both, and the facts in it."""
    fact = {
        "who": rng.choice(ANIMALS),
        "looks": rng.choice(LOOKS),
        "does": rng.choice(ACTIONS),
        "where": rng.choice(PLACES),
    }
    order = rng.choice(ORDERS)
    told = {name: value for name, value in fact.items() if f"{{{name}}}" in order}
    return order.format(way=rng.choice(WAYS), **told), told


def chat(pairs: list[Pair], system: str | None = None) -> list[dict[str, str]]:
    """Messages of a chat with one user and one assistant turn for each pair."""
    messages = [{"role": "system", "content": system}] if system else []
    for prompt, answer in pairs:
        messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return messages


def repeat(rng: Random) -> Pair:
    words = " ".join(phrase(rng))
    return f"Repeat: {words}", words


def reverse(rng: Random) -> Pair:
    words = phrase(rng)
    return f"Reverse the words: {' '.join(words)}", " ".join(reversed(words))


def upper(rng: Random) -> Pair:
    words = " ".join(rng.choices(ANIMALS + LOOKS, k=rng.randint(1, 4)))
    return f"Upper case: {words}", words.upper()


def first(rng: Random) -> Pair:
    words = phrase(rng)
    return f"First word: {' '.join(words)}", words[0]


def last(rng: Random) -> Pair:
    words = phrase(rng)
    return f"Last word: {' '.join(words)}", words[-1]


def count(rng: Random) -> Pair:
    words = phrase(rng)
    return f"Count the words: {' '.join(words)}", NUMBERS[len(words)]


def listing(rng: Random) -> Pair:
    words = phrase(rng)[:4]
    return f"List: {' '.join(words)}", json.dumps(words)


def pair(rng: Random) -> Pair:
    key, value = rng.choices(WORDS, k=2)
    return f"Pair: {key} {value}", json.dumps({key: value})


def who(rng: Random) -> Pair:
    sentence, fact = scene(rng)
    return f"Who: {sentence}", fact["who"]


def where(rng: Random) -> Pair:
    sentence, fact = scene(rng)
    return f"Where: {sentence}", fact.get("where", "nowhere")


def story(rng: Random) -> str:
    """One or two sentences of plain text, the only rows that are not a chat."""
    return " ".join(scene(rng)[0].capitalize() + "." for _ in range(rng.randint(1, 2)))


def record(rng: Random) -> Pair:
    """The new skill: a sentence becomes a JSON record of what it says, and of nothing else."""
    sentence, fact = scene(rng)
    return f"Record: {sentence}", json.dumps(fact)


BASE_SKILLS: dict[str, Callable[[Random], Pair]] = {
    "repeat": repeat,
    "reverse": reverse,
    "upper": upper,
    "first": first,
    "last": last,
    "count": count,
    "list": listing,
    "pair": pair,
    "who": who,
    "where": where,
}
