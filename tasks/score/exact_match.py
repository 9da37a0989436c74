"""exact_match: the share of answers equal to their reference."""


def exact_match(answers: list[str], references: list[str]) -> float | None:
    """The share of answers equal to their reference, outer white space aside; None where there are none.

    Example:
        >>> exact_match(["a ", "b"], ["a", "c"])
        0.5
    """
    if not references:
        return None
    return sum(a.strip() == r.strip() for a, r in zip(answers, references, strict=True)) / len(references)
