import os
import signal
import subprocess
import sys

import pytest

PROGRAM = "from nearer.core.steps import reached\nfor step in ('a', 'b', 'b'):\n    print(step)\n    reached(step)"


@pytest.mark.parametrize(
    ("die_at", "printed"),
    [("a", ["a"]), ("b", ["a", "b"]), ("b:2", ["a", "b", "b"]), ("b:3", None), ("c", None), (None, None)],
)
def test_dies_at_the_named_time_of_a_step_only(die_at, printed):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **({"NEARER_DIE_AT": die_at} if die_at else {})}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if printed is None else -signal.SIGKILL)
    assert done.stdout.split() == (printed or ["a", "b", "b"])
