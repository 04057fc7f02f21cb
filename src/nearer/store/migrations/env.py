"""What Alembic runs before revisions: they work in the transaction that called for them."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
