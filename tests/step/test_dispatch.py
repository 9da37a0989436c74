import mlx.core as mx

from tasks.loss import MaskedCrossEntropy
from tasks.optim import AdamW
from tasks.settings import Train
from tasks.sink import Counters
from tasks.step.dispatch import Dispatcher, _key
from tasks.step.forward import Forward
from tasks.step.training_state import State
from tasks.step.update import Update
from tests.batch.rows import MemoryRows
from tests.tiny import attach_random, same, tiny_model
from tests.training import recipe

HOW = recipe(steps=9, train=Train(accumulate=2), optim=AdamW(lr=0.5, schedule="linear", warmup=0))


def feed():
    model = tiny_model()
    attach_random(model)
    forward = Forward(model, MaskedCrossEntropy())
    update = Update(forward, HOW.optim)
    masters = model.trainable_parameters()
    return (
        Dispatcher(forward, update, MemoryRows([9, 30, 17, 12, 25, 40, 11, 8] * 4), HOW),
        masters,
        update.start(masters),
    )


def examples(handed):
    return [batch.examples for batch in handed.window]


def test_a_step_takes_its_batches_its_rate_and_its_number_wherever_it_is_begun():
    one, masters, optimizer = feed()
    steps = [one.dispatch(State(n, masters, optimizer, Counters())) for n in range(4)]
    assert [handed.step for handed in steps] == [1, 2, 3, 4]
    assert [handed.rate for handed in steps] == [HOW.optim.rate(n, 9) for n in range(4)]
    assert all(len(handed.window) == 2 for handed in steps)
    other, masters, optimizer = feed()
    other.enter(2)
    assert (
        examples(other.dispatch(State(2, masters, optimizer, Counters()))) == examples(steps[2]) != examples(steps[0])
    )
    one.enter(1)
    assert examples(one.dispatch(State(1, masters, optimizer, Counters()))) == examples(steps[1])


def test_the_rate_is_lowered_by_the_factor_of_the_counters():
    one, masters, optimizer = feed()
    handed = one.dispatch(State(0, masters, optimizer, Counters(rate_factor=0.25)))
    assert handed.rate == 0.25 * HOW.optim.rate(0, 9)


def test_the_key_of_a_step_is_a_function_of_seed_and_step():
    assert same(_key(3, 7), _key(3, 7))
    keys = [_key(seed, step) for seed in range(3) for step in range(3)]
    assert len({repr(key) for key in keys}) == 9
    assert keys[0].dtype == mx.uint32
