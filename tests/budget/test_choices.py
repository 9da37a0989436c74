from typing import Any

import pytest

from tasks.batch import Bucketed, Packed, Padded
from tasks.budget.choices import Option, changed, fastest, singles
from tasks.errors import ConfigError
from tasks.memory import Memory
from tasks.settings import Train
from tests.training import recipe


def hold(how: Any) -> int:
    """Bytes of a make-believe training."""
    tokens = how.layout.tokens * how.layout.size if isinstance(how.layout, Packed) else how.layout.tokens
    kept = {"none": 10, "attention": 8, "mlp": 6, 4: 8, 2: 6, "all": 1}[how.memory.checkpoint]
    return tokens * kept + (how.memory.head_chunk or tokens) + (1000 if how.memory.base == "dequantized" else 100)


def asked(**changes: Any) -> Any:
    return recipe(
        **{"layout": Packed(tokens=1024, size=2), "memory": Memory(head_chunk=1024, base="quantized"), **changes}
    )


def test_what_fits_as_it_is_stays() -> None:
    (only,) = fastest(asked(), 100, False, hold, 10**9)
    assert (only.changes, only.cost, only.fits) == ({}, 1.0, True)


def test_the_last_is_the_cheapest_that_fits_and_the_step_stays_as_large() -> None:
    budget = 6000
    options = fastest(asked(), 100, False, hold, budget)
    assert [option.fits for option in options] == [False] * (len(options) - 1) + [True]
    assert [option.cost for option in options] == sorted(option.cost for option in options)
    taken: Any = changed(asked(), options[-1].changes)
    assert hold(taken) <= budget
    assert taken.layout.tokens * taken.layout.size * taken.train.accumulate == 2048
    assert fastest(asked(), 100, False, hold, budget) == options  # the same again


def test_no_row_is_cut_below_the_longest_example() -> None:
    options = fastest(asked(layout=Packed(tokens=1024)), 1000, False, hold, 1500)
    assert all("batch.tokens" not in option.changes for option in options)


def test_nothing_fits() -> None:
    assert not any(option.fits for option in fastest(asked(), 100, False, hold, 10))


def test_what_the_family_has_no_part_for_is_not_weighed() -> None:
    def lacking(how: Any) -> int:
        if how.memory.checkpoint in ("attention", "mlp"):
            raise ConfigError("no such part")
        return hold(how)

    options = fastest(asked(), 100, False, lacking, 6000)
    assert options[-1].fits
    assert not {"attention", "mlp"} & {option.changes.get("memory.checkpoint") for option in options}


def test_a_quantized_base_is_dense_where_it_fits() -> None:
    assert fastest(asked(), 100, True, hold, 10**9)[-1].changes == {"memory.base": "dequantized"}


@pytest.mark.parametrize(
    ("layout", "smaller"),
    [
        (Packed(tokens=512, size=4), {"batch.size": 2, "train.accumulate": 6}),
        (Packed(tokens=512), {"batch.tokens": 256, "batch.size": 1, "train.accumulate": 6}),
        (Bucketed(tokens=512), {"batch.tokens": 256, "train.accumulate": 6}),
        (Padded(size=8), {"batch.size": 4, "train.accumulate": 6}),
    ],
    ids=repr,
)
def test_half_the_micro_batch_is_twice_the_accumulation(layout: Any, smaller: dict[str, int]) -> None:
    how = recipe(layout=layout, train=Train(accumulate=3))
    assert smaller in list(singles(how, 100, False))


def test_an_option_reads_as_overrides() -> None:
    option = Option(changes={"memory.checkpoint": "all", "batch.size": 1}, peak_bytes=1, cost=1.3, fits=True)
    assert option.overrides == "memory.checkpoint=all batch.size=1"
    assert Option(changes={}, peak_bytes=1, cost=1, fits=True).overrides == "as asked"
