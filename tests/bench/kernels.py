"""Which kernels a step spends its time in, on a CUDA device: python -m tests.bench.kernels --model 0.6b --size 4

PyTorch's profiler records every kernel of the process, MLX's too. The last line is JSON.
"""

# pyright: reportMissingImports=false
import argparse
import json
from collections import Counter

from tasks.batch import Packed
from tests.bench.ablation import variant
from tests.bench.rows import chat_rows
from tests.bench.shapes import adapted, frozen_model


def main() -> None:
    """Profiles one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="0.6b")
    parser.add_argument("--bits", type=int, default=None)
    parser.add_argument("--rows", type=int, default=130)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--size", type=int, default=4)
    parser.add_argument("--variant", default="base")
    parser.add_argument("--top", type=int, default=30)
    given = parser.parse_args()
    from torch.profiler import ProfilerActivity, profile

    model = adapted(frozen_model(given.model, bits=given.bits))
    rows = chat_rows(given.rows, model.args.vocab_size)  # type: ignore[union-attr]
    one = variant(model, rows, given.variant, given.tokens, given.size, steps=2)
    assert isinstance(one.layout, Packed)
    one.round()
    one.round()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        _, seconds = one.round()
    spent, calls = Counter[str](), Counter[str]()
    for event in seen.events() or []:
        name = str(event.name)
        spent[name[:110]] += event.time_range.elapsed_us()
        calls[name[:110]] += 1
    total = sum(spent.values())
    print(f"{seconds * 1e3:.1f} ms in {len(list(one.batches()))} steps, kernels {total / 1e3:.1f} ms")
    for name, us in spent.most_common(given.top):
        print(f"{us / 1e3:9.2f} ms {100 * us / max(1, total):5.1f}% {calls[name]:6d}  {name}")
    print(json.dumps({"command": "kernels", "kernels_ms": round(total / 1e3, 2), "wall_ms": round(seconds * 1e3, 2)}))


if __name__ == "__main__":
    main()
