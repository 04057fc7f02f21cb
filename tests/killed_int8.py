"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

from forked import arm
from nearer.flows import int8
from nearer.store.workspace import Workspace


def offer(folder, step):
    """Make an int8 model of the base in the workspace of that folder, whatever this machine is, and die at a step."""
    int8.LEAST_SPEEDUP, int8.MOST_LOST = 0.0, 1.0
    arm(step)
    with Workspace.open(folder) as workspace:
        int8.compress_int8(workspace, "base")
