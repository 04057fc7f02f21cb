"""Remove documents, and their texts wherever they were recorded."""

from collections.abc import Sequence

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.results.data import Removed
from nearer.store import tables
from nearer.store.changing import remove_documents
from nearer.store.collection import unknown_ids
from nearer.store.redact import redact
from nearer.store.workspace import Workspace


def remove(workspace: Workspace, doc_ids: Sequence[str]) -> Removed:
    """Remove documents, the judgments on them, and their texts from what was recorded; reports go, to be written anew.

    Raises InputError, naming them, when some do not exist.
    """
    with workspace.write("remove") as connection:
        unknown = unknown_ids(connection, tables.documents.c.doc_id, doc_ids)
        if unknown:
            raise InputError(f"no document {', '.join(sorted(unknown))}", hint="nothing was removed; check the ids")
        redact(connection, workspace.collection.documents(doc_ids))
        num_removed = remove_documents(connection, doc_ids)
    failpoint("remove.commit")
    workspace.database.empty_log()
    for report in workspace.reports.glob("*.html"):  # pages quote texts; they can be written anew
        report.unlink(missing_ok=True)
    return Removed(num_removed=num_removed, counts=workspace.collection.counts())
