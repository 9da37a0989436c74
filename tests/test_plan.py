import json

import mlx.core as mx
import pytest

from tasks.batch import Bucketed, Packed, Padded, epoch_batches, padding_share
from tasks.data import Data
from tasks.errors import ConfigError, DataError, TargetError
from tasks.lora import LoRA
from tasks.memory import Memory
from tasks.model import Model
from tasks.optim import AdamW
from tasks.plan import Plan, plan
from tasks.settings import Evaluate, Train, Verify
from tasks.tokenize import tokenize
from tests.tiny import write_chat, write_model
from tests.training import recipe, train_in


def plan_of(
    cache, model_folder, out, *, rule=None, layout=None, train=None, optim=None, probe=False, evaluate=None
) -> Plan:
    asked = recipe(
        rule=rule or LoRA(rank=4),
        layout=layout or Padded(size=8),
        train=train or Train(),
        optim=optim or AdamW(),
        steps=0,
    )
    source, verify = Model(path=str(model_folder())), Verify(checks=("files",))
    return plan.fn(cache, source, asked, evaluate or Evaluate(), verify, out / "plan.json", probe=probe)


def test_a_model_with_a_state_goes_on_one_example_a_row(token_cache, model_folder, tmp_path, caplog):
    made = plan_of(token_cache, lambda: model_folder("lfm2"), tmp_path, layout=Packed(tokens=128, size=2))
    assert made.layout == Bucketed(tokens=256)
    assert "cannot keep packed examples apart; going on with batch=bucketed" in caplog.text


def test_it_counts_what_will_be_trained_on(token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path)
    assert (made.splits, made.model_type) == (token_cache.splits, "qwen3")
    assert (made.batches_per_epoch, made.steps, made.epochs) == (5, 5, 1.0)
    assert made.padding_share == round(padding_share(token_cache.split("train"), Padded(size=8), seed=0), 4)


def test_it_counts_what_will_be_trained(token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path)
    trained = train_in(tmp_path, token_cache, Model(path=str(model_folder())), recipe(steps=1))
    assert (made.adapter_modules, made.adapter_parameters) == (trained.adapter.modules, trained.adapter.parameters)
    assert made.training_bytes == 16 * trained.adapter.parameters
    weights = mx.load(str(model_folder() / "model.safetensors"))
    assert isinstance(weights, dict)
    assert made.base_bytes == sum(array.nbytes for array in weights.values())


def test_dropout_is_in_the_predicted_peak(token_cache, model_folder, tmp_path):
    plain, dropped = (plan_of(token_cache, model_folder, tmp_path, rule=LoRA(rank=4, dropout=p)) for p in (0.0, 0.1))
    assert plain.adapter_parameters == dropped.adapter_parameters
    assert plain.peak_memory_bytes < dropped.peak_memory_bytes
    assert plain.peak.kept < dropped.peak.kept, "the masked inputs are kept for the way back"


@pytest.mark.parametrize(
    ("train", "steps", "epochs"),
    [(Train(steps=12), 12, 2.4), (Train(epochs=2.0), 10, 2.0), (Train(accumulate=2), 3, 1.0)],
    ids=repr,
)
def test_the_length_of_the_run(train, steps, epochs, token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path, train=train)
    assert (made.steps, made.epochs) == (steps, epochs)


def test_a_run_without_held_out_rows_is_refused_before_it_is_trained(model_folder, tmp_path):
    data = Data(train=str(write_chat(tmp_path / "train.jsonl", 8)), valid_share=0)
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    with pytest.raises(DataError, match=r"no held-out rows .* data\.valid_share"):
        plan_of(cache, model_folder, tmp_path)
    assert not (tmp_path / "plan.json").exists()


def test_the_layout_is_the_one_that_training_uses(token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path, layout=Bucketed(tokens=256))
    assert made.batches_per_epoch == len(
        epoch_batches(token_cache.split("train"), Bucketed(tokens=256), seed=0, epoch=0)
    )


def test_what_it_writes_is_what_it_gives(token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path)
    assert json.loads((tmp_path / "plan.json").read_text()) == made.model_dump(mode="json")


def test_a_target_that_matches_nothing_is_refused(token_cache, model_folder, tmp_path):
    with pytest.raises(TargetError, match="'qproj'"):
        plan_of(token_cache, model_folder, tmp_path, rule=LoRA(targets=("qproj",)))
    assert list(tmp_path.iterdir()) == []


def test_another_model_s_tokens_are_refused(token_cache, model_folder, tmp_path):
    folder = write_model(tmp_path / "small", "qwen3")
    config = json.loads((folder / "config.json").read_text())
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    mx.eval(weights)
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:200]
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 200}))
    with pytest.raises(DataError, match="rows hold token id 258, the model's vocabulary ends at 199"):
        plan_of(token_cache, lambda: folder, tmp_path)


def test_rows_beyond_the_model_s_length_are_refused(model_folder, tmp_path):
    turns = [{"role": "user", "content": "a" * 600}, {"role": "assistant", "content": "b"}]
    (tmp_path / "long.jsonl").write_text(json.dumps({"messages": turns}) + "\n")
    write_chat(tmp_path / "valid.jsonl", 2)
    data = Data(train=str(tmp_path / "long.jsonl"), valid=str(tmp_path / "valid.jsonl"))
    cache = tokenize.fn(data, Model(path=str(model_folder())), tmp_path / "cache")
    with pytest.raises(
        DataError, match=r"the longest train row \(line 1\) has 6\d\d tokens, the model was made for 512; set data"
    ):
        plan_of(cache, model_folder, tmp_path)


def test_packing_is_agreed_on_where_the_model_keeps_examples_apart(token_cache, model_folder, tmp_path, monkeypatch):
    packed = Packed(tokens=256, size=2)
    assert plan_of(token_cache, model_folder, tmp_path, layout=packed).layout == packed
    monkeypatch.setattr("tasks.plan.honours_segments", lambda *_, **__: False)
    assert plan_of(token_cache, model_folder, tmp_path, layout=packed).layout == Bucketed(tokens=512)


def test_the_agreed_recipe_is_the_one_asked_for_but_for_what_the_plan_settled(token_cache, model_folder, tmp_path):
    asked = recipe(layout=Bucketed(tokens=512), train=Train(epochs=2.0), memory=Memory(auto=True), seed=3, steps=0)
    made = plan_of(token_cache, model_folder, tmp_path, train=Train(steps=7), layout=Packed(tokens=256))
    agreed = made.recipe(asked)
    assert (agreed.layout, agreed.memory, agreed.steps) == (made.layout, made.memory, 7)
    assert agreed.train == asked.train.model_copy(update={"accumulate": made.accumulate})
    assert (agreed.rule, agreed.loss, agreed.optim, agreed.seed) == (asked.rule, asked.loss, asked.optim, 3)


def test_a_warm_up_longer_than_the_run_is_refused_before_it_starts(token_cache, model_folder, tmp_path):
    with pytest.raises(ConfigError, match=r"optim\.warmup is 10 steps, the run has 3"):
        plan_of(token_cache, model_folder, tmp_path, train=Train(steps=3), optim=AdamW(warmup=10))


def test_a_step_takes_an_epoch_at_most(token_cache, model_folder, tmp_path, caplog):
    with caplog.at_level("INFO"):
        made = plan_of(token_cache, model_folder, tmp_path, train=Train(accumulate=100))
    assert (made.steps, made.epochs) == (1, 1.0)
    assert "train.accumulate=100: an epoch has 5 batches, so each step takes those" in caplog.text


def test_a_probe_is_gone_by_instead_of_what_is_told(token_cache, model_folder, tmp_path, monkeypatch):
    elsewhere = mx.zeros(25_000_000)
    mx.eval(elsewhere)
    real = plan_of(token_cache, model_folder, tmp_path, probe=True)
    assert real.peak_memory_bytes == real.probed_bytes
    assert 0.5 < real.peak.total / real.peak_memory_bytes < 2 < elsewhere.nbytes / real.peak_memory_bytes
    monkeypatch.setattr("tasks.plan.Demand.bytes", lambda *_: 10**18)
    monkeypatch.setattr("tasks.plan.Demand.measured", lambda *_: 10**6)
    assert plan_of(token_cache, model_folder, tmp_path, probe=True).peak_memory_bytes == 10**6
    monkeypatch.setattr("tasks.plan.Demand.measured", lambda *_: 10**18)
    with pytest.raises(
        ConfigError, match=r"a real training step took 1e\+09 GB, the budget is .* memory\.limit_gb\); memory=auto"
    ):
        plan_of(token_cache, model_folder, tmp_path, probe=True)


def test_the_run_needs_what_its_largest_stage_holds(token_cache, model_folder, tmp_path):
    made = plan_of(token_cache, model_folder, tmp_path)
    assert set(made.stages) == {"validation", "loss", "answers", "verification"}
    assert made.need_bytes == max(made.peak_memory_bytes, *made.stages.values())
    assert made.base_bytes < min(made.stages.values())
    quiet = plan_of(token_cache, model_folder, tmp_path, evaluate=Evaluate(generate=0))
    assert set(quiet.stages) == {"validation", "loss", "verification"}


@pytest.mark.parametrize(
    ("stage", "where", "said"),
    [
        (
            "validation",
            "tasks.budget.demand.scoring",
            r"validating between the steps would need 1e\+06 GB, .*batch.to",
        ),
        ("loss", "tasks.budget.later_stages.scoring", r"the held-out loss would need 1e\+06 GB, the budget is .* GB"),
        ("answers", "tasks.budget.answering.answering", r"generating the held-out answers .* even one at a time"),
        (
            "verification",
            "tasks.budget.later_stages.verifying",
            r"verifying the adapter would need .* verify\.probe_token",
        ),
    ],
)
def test_the_stage_that_would_not_fit_is_named(
    stage, where, said, token_cache, model_folder, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(where, lambda *_, **__: 10**15)
    with pytest.raises(ConfigError, match=said):
        plan_of(token_cache, model_folder, tmp_path)
    assert not (tmp_path / "plan.json").exists()

    def untold(*_, **__):
        raise ValueError("no such primitive")

    monkeypatch.setattr(where, untold)
    assert stage not in plan_of(token_cache, model_folder, tmp_path).stages
    assert "(no such primitive); it is not checked" in caplog.text
