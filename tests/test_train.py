import json
import random
import signal

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.tuner.trainer import default_loss
from safetensors.numpy import load_file

from tasks.adapter import record_probe
from tasks.batch import Bucketed, Packed, Padded, epoch_batches, make_batch
from tasks.checkpoint import newest_checkpoint
from tasks.errors import ConfigError, Interrupted, ModelError, RunError
from tasks.lora import LoRA
from tasks.loss import CrossEntropy, LossSum, MaskedCrossEntropy
from tasks.memory import Memory
from tasks.model import Model
from tasks.optim import AdamW
from tasks.settings import Train, Verify
from tasks.sink import SINKS, Console, Jsonl
from tasks.sink.jsonl import read_metrics
from tasks.step.forward import Forward
from tasks.train import train, worth_retrying
from tasks.verify import verify
from tests.adapter.damage import read
from tests.tiny import attach_random, tiny_model, token_ids, write_model
from tests.training import recipe, train_in

DROPOUT = LoRA(rank=4, alpha=8.0, dropout=0.3)


@pytest.fixture
def source(model_folder) -> Model:
    return Model(path=str(model_folder()))


def steps(folder) -> list[int]:
    return [line["step"] for line in read_metrics(folder / "metrics.jsonl")]


def test_training_lowers_the_loss_and_says_so(source, token_cache, tmp_path):
    done = train_in(tmp_path, token_cache, source, recipe(steps=12))
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert done.loss_last < done.loss_first
    assert (done.loss_first, done.loss_last) == (lines[0]["loss"], lines[-1]["loss"])
    assert done.valid_loss == lines[-1]["valid_loss"]
    assert (done.steps, done.resumed_from, done.adapter.step) == (12, None, 12)
    assert steps(tmp_path) == list(range(1, 13))


def test_tokens_are_counted_without_padding(source, token_cache, tmp_path):
    rows = token_cache.split("train")
    done = train_in(tmp_path, token_cache, source, recipe(layout=Padded(size=8), steps=5))  # one epoch
    assert done.tokens == rows.lengths.sum()
    assert done.supervised_tokens == sum(int((rows.weights(i) > 0).sum()) for i in range(len(rows)))
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert sum(line["tokens"] for line in lines) == done.tokens


@pytest.mark.parametrize("layout", [Padded(size=7), Bucketed(tokens=200), Packed(tokens=256)], ids=repr)
def test_an_epoch_trains_on_every_example_once(layout, source, token_cache, tmp_path, monkeypatch):
    seen = []

    arrays = Forward.arrays

    def watched(forward, batch):
        seen.append(batch.examples)
        return arrays(forward, batch)

    monkeypatch.setattr(Forward, "arrays", watched)
    rows = token_cache.split("train")
    steps = len(epoch_batches(rows, layout, seed=0, epoch=0))
    train_in(tmp_path, token_cache, source, recipe(layout=layout, steps=steps))
    assert sorted(i for examples in seen[:steps] for i in examples) == list(range(len(rows)))


@pytest.mark.parametrize("loss", [MaskedCrossEntropy(), CrossEntropy()], ids=repr)
def test_two_accumulated_batches_are_one_of_both(loss, source, token_cache, tmp_path):
    """The order of the rows does not depend on the batch size, so both take the same 16 rows, of several lengths."""
    common = {"steps": 1, "loss": loss, "optim": AdamW(lr=1e-2, eps=1e-2)}
    one = recipe(layout=Padded(size=16), **common)
    two = recipe(layout=Padded(size=8), train=Train(accumulate=2), **common)
    train_in(tmp_path / "one", token_cache, source, one)
    train_in(tmp_path / "two", token_cache, source, two)
    left, right = (read_metrics(tmp_path / name / "metrics.jsonl")[0] for name in ("one", "two"))
    for key in ("loss", "grad_norm"):
        assert left[key] == pytest.approx(right[key], rel=1e-6 if key == "loss" else 1e-5)
    assert (left["tokens"], left["supervised_tokens"]) == (right["tokens"], right["supervised_tokens"])
    ours, theirs = read(tmp_path / "one" / "adapter"), read(tmp_path / "two" / "adapter")
    for name, array in ours.items():
        np.testing.assert_allclose(np.array(array), np.array(theirs[name]), atol=1e-6, err_msg=name)


def test_same_seed_same_bytes_and_another_seed_others(source, token_cache, tmp_path):
    runs = [
        train_in(tmp_path / str(n), token_cache, source, recipe(rule=DROPOUT, seed=seed)).adapter.sha256
        for n, seed in enumerate((1, 1, 2))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_dropout_and_checkpointing_do_what_they_say(source, token_cache, tmp_path):
    plain, dropped = recipe(), recipe(rule=DROPOUT)
    hashes, losses = {}, {}
    for name, how in {"plain": plain, "dropped": dropped}.items():
        for memory in ("none", "all"):
            done = train_in(
                tmp_path / name / memory,
                token_cache,
                source,
                how.model_copy(update={"memory": Memory(checkpoint=memory)}),
            )
            hashes[name, memory], losses[name, memory] = done.adapter.sha256, done.loss_last
    assert hashes["plain", "none"] != hashes["dropped", "none"]
    assert losses["plain", "all"] == pytest.approx(losses["plain", "none"], rel=1e-5)
    assert losses["dropped", "all"] == pytest.approx(losses["dropped", "none"], rel=1e-5)


LONG = {"rule": DROPOUT, "steps": 8, "train": Train(save_every=3, eval_every=2, accumulate=2)}


class Interrupting(Jsonl):
    """Sends the signal that Ctrl-C sends, in the middle of step 4."""

    def write(self, metrics):
        super().write(metrics)
        if metrics.step == 4:
            signal.raise_signal(signal.SIGINT)


class Crashing(Console):
    """Breaks down in step 5, two steps after a checkpoint, once the metrics of that step are written."""

    def write(self, metrics):
        if metrics.step == 5:
            raise OSError("the terminal is gone")


@pytest.fixture(scope="module")
def uninterrupted(model_folder, token_cache, tmp_path_factory):
    return train_in(tmp_path_factory.mktemp("whole"), token_cache, Model(path=str(model_folder())), recipe(**LONG))


@pytest.mark.parametrize("last_blocks", [None, 1])
@pytest.mark.parametrize(("name", "sink", "at"), [("jsonl", Interrupting, 4), ("console", Crashing, 3)])
def test_a_resumed_run_ends_with_the_same_bytes(
    name, sink, at, last_blocks, source, token_cache, tmp_path, monkeypatch, uninterrupted
):
    rule = DROPOUT.model_copy(update={"last_blocks": last_blocks})
    how = recipe(**{**LONG, "rule": rule})
    whole = uninterrupted if last_blocks is None else train_in(tmp_path / "whole", token_cache, source, how)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setitem(SINKS, name, sink)
        with pytest.raises((Interrupted, OSError)) as caught:
            train_in(folder, token_cache, source, how, ("jsonl", "console"))
    if sink is Interrupting:
        assert isinstance(caught.value, Interrupted)
        # The loss of step 4 is read while step 5 computes, unless 4 validates or saves; the stop waits for it.
        assert str(caught.value) in [
            f"stopped after step {step} of 8, checkpoint saved; to resume, repeat the command with run_dir={folder}"
            for step in (4, 5)
        ]
        assert caught.value.signum == signal.SIGINT
    assert not (folder / "adapter").exists()
    done = train_in(folder, token_cache, source, how)
    assert done.resumed_from == at
    assert done.adapter.sha256 == whole.adapter.sha256
    assert steps(folder) == list(range(1, 9))
    assert (done.tokens, done.supervised_tokens) == (whole.tokens, whole.supervised_tokens)
    assert (done.loss_first, done.loss_last, done.valid_loss) == (whole.loss_first, whole.loss_last, whole.valid_loss)


def test_a_crash_says_at_which_step(source, token_cache, tmp_path, monkeypatch):
    monkeypatch.setitem(SINKS, "console", Crashing)
    with pytest.raises(OSError, match="the terminal is gone") as caught:
        train_in(tmp_path, token_cache, source, recipe(**LONG), ("console",))
    assert caught.value.__notes__ == ["training step 5 of 8"]


def test_a_run_that_is_done_is_not_done_again(source, token_cache, tmp_path):
    first = train_in(tmp_path, token_cache, source, recipe())
    again = train_in(tmp_path, token_cache, source, recipe())
    assert again == first.model_copy(update={"resumed_from": 3})
    assert steps(tmp_path) == [1, 2, 3]


def test_a_damaged_checkpoint_is_passed_over(source, token_cache, tmp_path):
    how = recipe(train=Train(save_every=1))
    whole = train_in(tmp_path, token_cache, source, how)
    (tmp_path / "checkpoints" / "step-000003" / "state.safetensors").write_bytes(b"torn")
    done = train_in(tmp_path, token_cache, source, how)
    assert (done.resumed_from, done.adapter.sha256) == (2, whole.adapter.sha256)
    assert steps(tmp_path) == [1, 2, 3]


def test_a_checkpoint_of_another_rule_or_of_more_steps_is_refused(source, token_cache, tmp_path):
    train_in(tmp_path, token_cache, source, recipe())
    with pytest.raises(
        RunError, match=r"of step 3 does not fit the adapter: .*lora_a is \[.*4\] there and \[.*2\] here, .* differ"
    ):
        train_in(tmp_path, token_cache, source, recipe(rule=LoRA(rank=2), steps=5))
    with pytest.raises(RunError, match="the newest checkpoint is of step 3, the run has 2"):
        train_in(tmp_path, token_cache, source, recipe(steps=2))


def test_a_poisoned_base_stops_before_anything_is_updated(token_cache, tmp_path):
    folder = write_model(tmp_path / "model", "qwen3")
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    run = tmp_path / "run"
    with pytest.raises(ModelError, match=r"model\.layers\.1\.mlp\.up_proj\.weight contains NaN or an infinite number"):
        train_in(run, token_cache, Model(path=str(folder)), recipe(train=Train(save_every=1)))
    assert newest_checkpoint(run / "checkpoints") is None
    assert steps(run) == []
    assert not (run / "adapter").exists()


def test_a_rate_that_explodes_names_step_and_rows(source, token_cache, tmp_path):
    how = recipe(layout=Padded(size=4), optim=AdamW(lr=1e30, schedule="constant", warmup=0), train=Train(save_every=1))
    with pytest.raises(
        RunError, match=r"step 2: the loss is (nan|inf), .* examples \[\d+, \d+, \d+, \d+\]; .*optim\.lr"
    ):
        train_in(tmp_path, token_cache, source, how)
    found = newest_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 1
    assert steps(tmp_path) == [1]


def test_a_validation_loss_that_is_not_finite_stops_too(source, token_cache, tmp_path):
    how = recipe(optim=AdamW(lr=1e30, schedule="constant", warmup=0), steps=1)
    with pytest.raises(RunError, match=r"step 1: the validation loss is (nan|inf)"):
        train_in(tmp_path, token_cache, source, how)


def test_only_the_adapter_is_trained_and_in_float32(model_folder, token_cache, tmp_path):
    source = Model(path=str(model_folder("qwen3", dtype="bfloat16")))
    done = train_in(tmp_path, token_cache, source, recipe())
    start, end = read(tmp_path / "start"), read(tmp_path / "adapter")
    assert {array.dtype for array in end.values()} == {mx.float32}
    assert all(not mx.array_equal(start[name], end[name]) for name in end)
    assert json.loads((tmp_path / "start" / "base.json").read_text()) == json.loads(
        (tmp_path / "adapter" / "base.json").read_text()
    )
    assert done.loss_last < done.loss_first


def test_validation_is_made_when_asked_for_and_at_the_end(source, token_cache, tmp_path):
    train_in(tmp_path, token_cache, source, recipe(steps=5, train=Train(eval_every=2)))
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert [line["step"] for line in lines if "valid_loss" in line] == [2, 4, 5]


def test_checkpoints_are_kept_as_many_as_asked_for(source, token_cache, tmp_path):
    train_in(tmp_path, token_cache, source, recipe(steps=5, train=Train(save_every=1, keep=2)))
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000004", "step-000005"]


def test_the_probe_is_of_the_trained_model(source, token_cache, tmp_path):
    from tasks.adapter import load_adapter, read_probe
    from tasks.model.base import load_base

    train_in(tmp_path, token_cache, source, recipe())
    model, probe = load_base(source).model, read_probe(tmp_path / "adapter")
    assert probe is not None
    tokens = np.array(probe.tokens_T).tolist()
    before = record_probe(model, tokens)
    load_adapter(tmp_path / "adapter", model)
    assert probe.distance(record_probe(model, tokens)) == 0 < probe.distance(before)


def test_the_loss_is_mlx_lm_s_but_for_the_pad_token_that_it_counts():
    """mlx-lm keeps targets at `steps <= lengths`, where steps count from 1 and the n tokens of a row hold n - 1
    targets: each row shorter than the batch has one pad token for a target. Told one less, it counts ours."""
    model, lengths = tiny_model("qwen3"), [9, 14, 20]
    attach_random(model)
    rows = [np.array(token_ids(1, n, seed=n)[0]) for n in lengths]
    batch_BL = mx.array([row.tolist() + [0] * (20 - len(row)) for row in rows])

    def loss_of(rows: list[np.ndarray]) -> LossSum:
        batch = make_batch([[(row, np.ones(len(row), np.float32))] for row in rows], range(3))
        forward = Forward(model, MaskedCrossEntropy())
        return forward(forward.arrays(batch))

    ours = loss_of(rows)
    true_ends = mx.array([[1, n - 1] for n in lengths])
    mean, count = default_loss(model, batch_BL, true_ends)
    assert ours.count.item() == count.item() == sum(n - 1 for n in lengths)
    assert ours.mean.item() == pytest.approx(mean.item(), rel=1e-6)

    mean, count = default_loss(model, batch_BL, mx.array([[1, n] for n in lengths]))  # as its trainer calls it
    theirs = loss_of([*(np.append(row, 0) for row in rows[:-1]), rows[-1]])
    assert theirs.count.item() == count.item() == ours.count.item() + 2
    assert theirs.mean.item() == pytest.approx(mean.item(), rel=1e-6)
    assert theirs.mean.item() != pytest.approx(ours.mean.item(), rel=1e-4)


def test_a_quantized_base_trains_dense_as_it_does_packed(model_folder, token_cache, tmp_path):
    source = Model(path=str(model_folder()), quantize=4)
    packed, dense = (
        train_in(tmp_path / base, token_cache, source, recipe(memory=Memory(base=base)))
        for base in ("quantized", "dequantized")
    )
    assert dense.loss_first == pytest.approx(packed.loss_first, rel=1e-5)
    assert dense.loss_last == pytest.approx(packed.loss_last, rel=1e-3)
    assert verify.fn(dense.adapter, source, Verify(checks=("files", "reload_logits", "frozen_base"))).passed


def test_the_random_states_of_the_process_are_nothing_to_the_result(source, token_cache, tmp_path):
    def run(name: str, seed: int) -> str:
        random.seed(seed)
        np.random.seed(seed)
        mx.random.seed(seed)
        how = recipe(rule=DROPOUT, layout=Packed(tokens=256), train=Train(accumulate=2, eval_every=2))
        return train_in(tmp_path / name, token_cache, source, how).adapter.sha256

    assert run("a", 1) == run("b", 2)


def test_the_best_adapter_is_the_one_that_is_saved_and_verified(source, token_cache, tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 1.5])
    monkeypatch.setattr("tasks.step.loop.Training._validate", lambda *_: next(losses))
    how = recipe(steps=9, train=Train(eval_every=1, patience=2, final="best"))
    done = train_in(tmp_path / "best", token_cache, source, how)
    assert (done.steps, done.ended, done.adapter.step) == (4, "patience", 2)
    assert (done.valid_loss, done.best_loss, done.best_step) == (1.5, 1.0, 2)
    assert verify.fn(done.adapter, source, Verify(checks=("files", "reload_logits", "resave_bytes"))).passed
    monkeypatch.undo()
    two = train_in(
        tmp_path / "two", token_cache, source, recipe(steps=9, train=Train(eval_every=1, save_every=1, keep=9))
    )
    assert two.ended == "steps"
    state = load_file(tmp_path / "two/checkpoints/step-000002/state.safetensors")
    best = load_file(tmp_path / "best/adapter/adapters.safetensors")
    assert all(np.array_equal(array, state[name]) for name, array in best.items())


def test_a_failure_is_tried_again_and_a_mistake_is_not():
    from prefect.client.schemas.objects import State
    from prefect.states import Failed

    def retried(error: Exception) -> bool:
        state: State = Failed(data=error)
        return worth_retrying(None, None, state)

    assert retried(OSError("the GPU was reset"))
    assert retried(RuntimeError("[METAL] Command buffer execution failed"))
    assert not any(map(retried, (RunError("nan"), ConfigError("key"), Interrupted("stopped", 15))))
    assert (train.retries, train.retry_condition_fn) == (2, worth_retrying)
