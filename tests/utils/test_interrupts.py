import subprocess
import sys

import pytest

IN_A_DESTRUCTOR = """
import signal, time
from posterfusion_jax.utils import signals
signals.install_handlers()
class Unlucky:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(0)
try:
    Unlucky()
    time.sleep(30)
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_in_a_destructor_still_stops_the_program():
    process = subprocess.run([sys.executable, "-c", IN_A_DESTRUCTOR], capture_output=True, text=True, timeout=20)
    assert (process.stdout, process.stderr) == ("stopped\n", "")


def test_other_errors_in_destructors_are_still_shown():
    code = IN_A_DESTRUCTOR.replace("signal.raise_signal(signal.SIGINT)", "1 / 0").replace("time.sleep(30)", "pass")
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert "ZeroDivisionError" in process.stderr


ASKED = """
import os, signal, sys
from posterfusion_jax.utils import signals
signal.signal(signal.SIGINT, {of_ctrl_c})
signals.install_handlers()
try:
    signal.raise_signal(signal.{asked})
except KeyboardInterrupt:
    sys.exit(signals.exit_status())
"""


@pytest.mark.parametrize(
    ("asked", "of_ctrl_c", "status"),
    [
        ("SIGINT", "signal.default_int_handler", 130),
        ("SIGTERM", "signal.default_int_handler", 143),
        ("SIGTERM", "signal.SIG_IGN", 143),  # in the background of a shell
        ("SIGINT", "signal.SIG_IGN", 0),
    ],
)
def test_sigterm_ends_a_program_as_ctrl_c_does(asked, of_ctrl_c, status):
    process = subprocess.run([sys.executable, "-c", ASKED.format(asked=asked, of_ctrl_c=of_ctrl_c)], timeout=20)
    assert process.returncode == status


DEFERRED = """
import os, signal, sys
from posterfusion_jax.utils import signals
signal.signal(signal.SIGINT, {of_ctrl_c})
signals.install_handlers()
try:
    with signals.defer_interrupts() as stop_requested:
        assert not stop_requested()
        for k in range({times}):
            signal.raise_signal(signal.{asked})
            print("continues", stop_requested())
    print("not here")
except KeyboardInterrupt:
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        print("as before")
"""


@pytest.mark.parametrize("asked", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("of_ctrl_c", ["signal.default_int_handler", "signal.SIG_IGN"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_first_request_waits_for_a_good_moment_and_a_second_does_not(asked, of_ctrl_c, times):
    code = DEFERRED.format(asked=asked, of_ctrl_c=of_ctrl_c, times=times)
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    ignored = (asked, of_ctrl_c) == ("SIGINT", "signal.SIG_IGN")
    expected = "continues False\n" * times + "not here\n" if ignored else "continues True\nas before\n"
    assert (process.stdout, process.stderr) == (expected, "")


def test_in_another_thread_nothing_is_changed():
    code = "from posterfusion_jax.utils import signals; import threading, signal\n"
    code += "def work():\n with signals.defer_interrupts() as stop_requested: print(stop_requested())\n"
    code += "thread = threading.Thread(target=work); thread.start(); thread.join()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (process.stdout, process.stderr) == ("False\n", "")
