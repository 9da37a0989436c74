from tasks.check import Subject
from tasks.check.frozen_base import check
from tests.tiny import any_model


def test_a_base_that_was_left_alone(trained):
    assert check(Subject(*trained())) == (True, "35 base parameters as they were, 42 adapter parameters beside them")


def test_a_base_parameter_that_trains_is_named(trained):
    subject = Subject(*trained())
    any_model(subject).model.norm.unfreeze()
    assert check(subject) == (False, "trainable beside the adapter: model.norm.weight")


def test_a_base_parameter_that_changed_is_named(trained):
    subject = Subject(*trained())
    any_model(subject).layers[1].mlp.up_proj.linear.weight[0, 0] += 1e-6
    assert check(subject) == (False, "1 base parameters differ, the first is model.layers.1.mlp.up_proj.weight")


def test_without_a_record_of_the_base_it_fails(damaged, trained):
    (damaged / "base.json").unlink()
    finding = check(Subject(damaged, trained()[1]))
    assert (finding.passed, "base.json" in finding.detail) == (False, True)
