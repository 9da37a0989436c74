"""Groups of kernels, as a CUDA device gets them."""

import os
import subprocess
import sys

import pytest

from tasks.device.kernel_groups import KERNELS, VARIABLE, small_groups


def test_they_are_small_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    small_groups()
    assert os.environ[VARIABLE] == str(KERNELS)


def test_a_mac_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    small_groups()
    assert VARIABLE not in os.environ


def test_what_is_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "7")
    small_groups()
    assert os.environ[VARIABLE] == "7"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has CUDA")
def test_importing_tasks_does_it_before_mlx_is_there() -> None:
    code = f"import sys, os, tasks; print('mlx.core' in sys.modules, os.environ['{VARIABLE}'])"
    env = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(KERNELS)]
