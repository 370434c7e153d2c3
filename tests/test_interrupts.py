import subprocess
import sys

IN_A_DESTRUCTOR = """
import signal, time
from posterfusion_jax import interrupts
interrupts.keep_ctrl_c()
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
