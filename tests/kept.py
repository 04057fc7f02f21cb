"""What a workspace keeps of its trainings and results, as tests ask for it."""

import sqlalchemy as sa

from nearer.store import tables


def trainings(workspace, verb="train"):
    """The id that stands after each training by a verb, and whether it was improved."""
    table = tables.trainings
    with workspace.database.read() as connection:
        rows = connection.execute(sa.select(table).where(table.c.verb == verb).order_by(table.c.training_id))
        return [(row.part_id, row.is_improved) for row in rows]
