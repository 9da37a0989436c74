import mlx.core as mx
import pytest

from tasks.grad import value_and_grad
from tasks.loss import LossSum
from tests.grad.tiny import flat_parameters
from tests.loss.golden import attach_lora, load_golden, loss_of, named_arrays, padded_batch


def test_golden_gradient_norms(shared_data):
    golden = load_golden(shared_data)
    model = attach_lora(golden)
    names = list(named_arrays(model.trainable_parameters()))
    ids, mask = padded_batch(golden)
    loss, grads = value_and_grad(loss_of(model))(flat_parameters(model), ids, mask)
    assert isinstance(loss, LossSum)
    expected = golden.expected["lora"]["grad_l2_step0"]
    assert sorted(names) == sorted(expected)
    for name, grad in zip(names, grads, strict=True):
        norm = (grad / loss.count).square().sum().sqrt().item()
        assert norm == pytest.approx(expected[name], abs=3e-6, rel=1e-5), name
    for check in golden.expected["lora"]["fd_check"]:
        name, index = check["param"].rstrip("]").split("[")
        row, column = map(int, index.split(","))
        ours = grads[names.index(name)][row, column].item() / loss.count.item()
        assert ours == pytest.approx(check["finite_diff_f64"], rel=2e-5)


def test_several_arguments_and_aux():
    step = value_and_grad(lambda a, n, b: ((a * b).sum(), {"n": n}), argnums=[2, 0])
    for _ in range(2):  # reusable
        (value, aux), (grad_b, grad_a) = step(mx.array([2.0]), 5, mx.array([3.0]))
        assert (value.item(), aux, grad_b.item(), grad_a.item()) == (6.0, {"n": 5}, 2.0, 3.0)


def test_a_single_position_in_a_sequence_gives_a_tuple():
    _, grads = value_and_grad(lambda x: x.sum(), argnums=[0])(mx.ones(2))
    assert isinstance(grads, tuple)
    assert len(grads) == 1


def test_keywords_pass_through():
    assert value_and_grad(lambda x, *, k: k * x)(mx.array(2.0), k=3.0)[1].item() == 3.0


@pytest.mark.parametrize("argnums", [-1, [0, 0], [], [1, -2]])
def test_bad_argnums_are_refused_at_once(argnums):
    with pytest.raises(ValueError, match="give positions from 0 up, each once"):
        value_and_grad(lambda x: x, argnums)


def test_mistakes_at_the_call_are_named():
    with pytest.raises(ValueError, match="argnums names argument 2, the call has 1"):
        value_and_grad(lambda *x: x[0].sum(), 2)(mx.ones(1))
    with pytest.raises(TypeError, match=r"argument 0\['w'\]\[1\] is an array of mlx.core.int32"):
        value_and_grad(lambda x: x["w"][0].sum())({"w": [mx.ones(1), mx.array([1])]})
    with pytest.raises(TypeError, match=r"argument 0\[0\] is a NoneType"):
        value_and_grad(lambda x: mx.array(1.0))([None])
    with pytest.raises(ValueError, match="scalar"):
        value_and_grad(lambda x: 3.0)(mx.ones(1))
    with pytest.raises(ValueError, match=r"scalar|cotangent shape"):
        value_and_grad(lambda x: x)(mx.ones(2))
