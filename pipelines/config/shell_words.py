"""Words of a command line as they arrive: what a shell split, what stands after dashes, what lacks its key."""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise

from pipelines.config.override import quoted
from tasks.errors import ConfigError

FLAGS = {
    *("--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"),
    *("--multirun", "-m", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
}
"""Hydra's own."""

_DATA = (".jsonl", ".json", ".csv", ".parquet", ".txt")


def tidy(arguments: Sequence[str]) -> list[str]:
    """Arguments as Hydra takes them: a key may stand after dashes, a choice may be written as its file.

    Raises:
        ConfigError: a flag that Hydra does not have.

    Example:
        >>> tidy(["--lora.rank=4", "+experiment=conf/experiment/quickstart.yaml", "-m"])
        ['lora.rank=4', '+experiment=quickstart', '-m']
    """
    tidied = []
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if argument.startswith("-") and name not in FLAGS and re.match(r"--?[A-Za-z]", argument):
            following = arguments[place + 1] if place + 1 < len(arguments) else ""
            if not equals:
                raise ConfigError(_flag(name, following))
            argument = f"{name.lstrip('-').replace('-', '_')}={value}"
        tidied.append(re.sub(r"^(\+?)(\w+)=(?:(?:\S*/)?conf/\2/)?([\w-]+)\.ya?ml$", r"\1\2=\3", argument))
    return tidied


def _flag(name: str, following: str) -> str:
    key = name.lstrip("-").replace("-", "_")
    if following and "=" not in following and not following.startswith(("-", "+", "~")):
        return f"{name} {following}: keys are written without dashes, with '=': {quoted(f'{key}={following}')}"
    return f"{name}: there is no such flag; keys are written key=value, as in lora.rank=16, and --help lists them"


def check_words(overrides: Sequence[str], experiments: Collection[str] = ()) -> None:
    """Refuses words that are no `key=value`, each with what was probably meant.

    Raises:
        ConfigError: naming the first such word and the fix.
    """
    for place, word in enumerate(overrides):
        before = overrides[place - 1] if place else ""
        after = overrides[place + 1] if place + 1 < len(overrides) else ""
        if (joined := _joined(overrides[place:])) and joined != word:
            raise ConfigError(f"the shell split {joined!r} at its spaces; put it in quotes: {quoted(joined)}")
        if word.startswith("~") or ("=" in word and not word.startswith("=")):
            continue
        if before.endswith("=") and "=" not in word:
            raise ConfigError(f"{before} {word}: no space after '='; write {quoted(before + word)}")
        if after == "=" or after.startswith("="):
            value = after[1:] or (overrides[place + 2] if place + 2 < len(overrides) else "...")
            raise ConfigError(f"{word} {after}: no space before '='; write {quoted(f'{word}={value}')}")
        raise ConfigError(unreadable(word, experiments))
    _require_whole_braces(overrides)


def _joined(words: Sequence[str]) -> str | None:
    """The words up to the one that closes what the first one opens; None where it opens nothing, or nothing closes."""
    if "=" not in words[0]:
        return None
    for end in range(1, len(words) + 1):
        joined = " ".join(words[:end])
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", joined)
        if all(bare.count(o) <= bare.count(c) for o, c in ("[]", "{}")):
            return joined
    return None


def _require_whole_braces(overrides: Sequence[str]) -> None:
    """Refuses `key={a:b,c:d}` as bash hands it over without quotes: `key=a:b key=c:d`."""
    for first, second in pairwise(overrides):
        key, _, value = first.partition("=")
        if second.startswith(f"{key}=") and re.fullmatch(r"\w+:[\w.]*", value):
            pairs = [o.partition("=")[2] for o in overrides if re.fullmatch(re.escape(key) + r"=\w+:[\w.]*", o)]
            whole = f"{key}={{{', '.join(pair.replace(':', ': ') for pair in pairs)}}}"
            raise ConfigError(f"the shell split the braces of {key}; put them in quotes: {quoted(whole)}")


def unreadable(override: str, experiments: Collection[str] = ()) -> str:
    """Explains an override that Hydra's parser refuses.

    Example:
        >>> print(unreadable("lora.rank"))
        cannot read the override 'lora.rank'; write key=value, as in lora.rank=16
        >>> print(unreadable("data.train=rows(1).jsonl"))
        cannot read the override 'data.train=rows(1).jsonl'; put its value in quotes of its own: "data.train='...'"
    """
    key, equals, _ = override.partition("=")
    fix = f"put its value in quotes of its own: \"{key}='...'\"" if equals else "write key=value, as in lora.rank=16"
    if re.match(r"[^=]*=\{[^:]*=", override):
        colons = re.sub(r"(?<=\w)=(?=[^{])", ": ", override)
        fix = f"a name and its value have a ':' between them: {quoted(colons)}"
    if override in experiments:
        fix = f"write +experiment={override}"
    elif not equals and override.endswith(_DATA):
        fix = f"write {quoted(f'data.train={override}')}"
    return f"cannot read the override {override!r}; {fix}"
