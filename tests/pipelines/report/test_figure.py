from pipelines.report.figure import change


def test_what_was_not_measured_is_unknown() -> None:
    assert change(None, 1.0, ".2f") == "unknown -> 1.00"
