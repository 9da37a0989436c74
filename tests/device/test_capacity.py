import os
from pathlib import Path

import pytest

import tasks.device.capacity
from tasks.device.capacity import device_memory


def test_a_container_has_less_than_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, unlimited = tmp_path / "memory.max", tmp_path / "unlimited"
    said.write_text("123456789\n")
    unlimited.write_text("max\n")
    monkeypatch.setattr(tasks.device.capacity, "CGROUPS", (said, unlimited, tmp_path / "missing"))
    import mlx.core as mx

    if mx.default_device() == mx.cpu:
        assert device_memory() == 123456789


def test_no_more_than_the_machine_has() -> None:
    import mlx.core as mx

    if mx.default_device() == mx.cpu:
        assert 0 < device_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
