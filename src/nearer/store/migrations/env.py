"""What Alembic runs before revisions: they work in the transaction that called for them."""

from alembic import context

if config := getattr(context, "config", None):  # not where it is only imported
    context.configure(connection=config.attributes["connection"])
    context.run_migrations()
