"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

from nearer.flows.synthesize import SynthesizeOptions, synthesize
from nearer.store.workspace import Workspace


def synthesize_offline(folder):
    """Write queries without a model for the workspace of that folder."""
    with Workspace.open(folder) as workspace:
        synthesize(workspace, offline=True, options=SynthesizeOptions(each=1, limit=10))


def judge_by(folder, url):
    """Have the model of a service judge in the workspace of that folder."""
    from nearer.encode.chat import ChatEndpoint
    from nearer.flows.judge import JudgeOptions, judge

    with Workspace.open(folder) as workspace:
        chat = ChatEndpoint(url=url, model="m", key=None)
        judge(workspace, chat=chat, options=JudgeOptions(systems=("bm25",), depth=1, limit=4, parallel=1))
