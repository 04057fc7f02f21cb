"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

from forked import arm
from nearer.flows.distil import distil
from nearer.store.workspace import Workspace


def learn(folder, step):
    """Make a student of one layer of the base in the workspace of that folder, and die at a step."""
    arm(step)
    with Workspace.open(folder) as workspace:
        distil(workspace, "base", layers=1)
