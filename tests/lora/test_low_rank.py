import pytest

from tasks.lora import LoRA, RsLoRA
from tasks.lora.low_rank import LowRank


@pytest.mark.parametrize("rule", [LoRA(rank=3, alpha=1.0), RsLoRA(rank=7, alpha=5.0)], ids=repr)
def test_what_is_written_is_read_as_the_same_strength_to_the_bit(rule):
    read = type(rule).read(rule.parameters)
    assert (read.rank, read.scale, read.dropout) == (rule.rank, rule.scale, 0.0)


def test_a_file_may_hold_any_rank():
    assert LowRank.read({"rank": "4096", "scale": -1}).parameters == {"rank": 4096, "scale": -1.0, "dropout": 0.0}


@pytest.mark.parametrize("lost", ["rank", "scale"])
def test_a_file_without_one_is_not_read(lost):
    parameters = {"rank": 4, "scale": 2.0}
    del parameters[lost]
    with pytest.raises(KeyError, match=lost):
        LowRank.read(parameters)


def test_strength_and_how_much_dropout_shape_no_memory():
    assert LoRA(rank=4, alpha=1.0, dropout=0.1).shaping == RsLoRA(rank=4, alpha=8.0, dropout=0.3).shaping
    shapes = [LoRA(), LoRA(rank=4), LoRA(dropout=0.1), LoRA(targets=("q_proj",)), LoRA(last_blocks=1)]
    assert all(a.shaping != b.shaping for n, a in enumerate(shapes) for b in shapes[:n])
