import signal
import subprocess
import sys
import threading
import time

import pytest

from tasks.checkpoint.interrupt import stop_by, stop_on_signal


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_asks(number):
    with stop_on_signal() as stop:
        assert stop.signum is None
        signal.raise_signal(number)
        assert stop.signum == number


def test_the_same_one_again_is_the_previous_handler_s():
    seen = []
    signal.signal(signal.SIGTERM, lambda signum, frame: seen.append(signum))
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert not seen
        signal.raise_signal(signal.SIGTERM)
    assert (stop.signum, seen) == (signal.SIGINT, [signal.SIGTERM])


def test_a_second_interrupt_stops_at_once():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with stop_on_signal():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_handlers_are_put_back_after_an_exception_too():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="inside"), stop_on_signal():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is before


def test_off_the_main_thread_it_changes_nothing():
    before, found = signal.getsignal(signal.SIGINT), []

    def work():
        with stop_on_signal() as stop:
            found.append((stop.signum, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, before)]


def test_the_clock_asks_too_and_no_longer_after_its_block():
    with stop_by(time.time() + 0.2), stop_on_signal() as stop:
        assert stop.signum is None
        time.sleep(0.25)
        assert stop.signum == signal.SIGTERM
    with stop_on_signal() as stop:
        assert stop.signum is None


BLOCKED = """
import hashlib, sys
from tasks.checkpoint.interrupt import stop_on_signal
with stop_on_signal() as stop:
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(sys.argv[1]))  # one call that no signal interrupts, as a step is
    print("asked to stop by", stop.signum, flush=True)
"""


@pytest.mark.parametrize(("signals", "code", "said"), [(1, 0, "asked to stop by 2"), (2, 130, "stopped at once")])
def test_a_second_one_ends_a_process_that_waits_for_the_device(signals, code, said):
    work = "3000000" if signals == 1 else "1000000000"
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, work], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(signals):
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    assert said in process.communicate(timeout=120)[0]
    assert process.returncode == code
