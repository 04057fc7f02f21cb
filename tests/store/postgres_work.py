"""What a process of its own does until it is killed: in a module of its own, for such a process imports it by name."""

import time

from nearer.flows.add import add
from nearer.store.database import open_database
from nearer.store.tables import ledger
from nearer.store.workspace import Workspace


def hold_a_lease(address):
    """Hold a lease until the end."""
    with open_database(address).lease("training-1", holder="nearer train"):
        time.sleep(600)


def enter_a_look(address):
    """One look at a test split."""
    with open_database(address).write() as connection:
        connection.execute(ledger.insert(), [{"at": "now", "split": "test", "systems": [], "purpose": "x"}])


def import_a_document(folder, file):
    """Import a corpus."""
    with Workspace.open(folder) as workspace:
        add(workspace, "corpus", file)
