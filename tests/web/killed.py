"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

from nearer.core.records import Document
from nearer.flows.documents import put
from nearer.store.workspace import Workspace


def put_one(folder):
    """Put the document ``killed`` into the workspace of that folder."""
    with Workspace.open(folder) as workspace:
        put(workspace, [Document(doc_id="killed", text="a text")])
