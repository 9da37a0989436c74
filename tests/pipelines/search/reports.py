"""A report of a search to draw and to write."""

from typing import Any


def report() -> dict[str, Any]:
    """Five trials: two complete ones, one pruned, one infeasible, one failed."""
    rows = []
    told = [("complete", 2.0), ("complete", 1.0), ("pruned", None), ("infeasible", None), ("failed", None)]
    for number, (state, value) in enumerate(told):
        values = {"lora": "lora", "optim.lr": 10.0**-number, "lora.targets": ["q_proj"]}
        curve = {"2": 3.0, "4": 2.0} if state in ("complete", "pruned") else {}
        best = min(v for _, v in told[: number + 1] if v is not None)
        fields = {"seconds": 1.0, "where": "here:/x", "detail": "a | b\nc" if value is None else ""}
        rows.append(
            {"number": number, "state": state, "value": value, "best": best, "values": values, "curve": curve, **fields}
        )
    best = {"number": 1, "value": 1.0, "values": rows[1]["values"], "adapter": "/s/best/adapter", "sha256": "ab"}
    return {
        "study": "s",
        "folder": "/s",
        "objective": "evaluate.loss_after",
        "direction": "minimize",
        "states": {"complete": 2, "pruned": 1, "infeasible": 1, "failed": 1},
        "importances": {"optim.lr": 0.75, "lora": 0.25},
        "best": {**best, "command": "python -m pipelines.finetune optim.lr=0.1", "checks": ["files"]},
        "trials": rows,
    }
