"""Called by Alembic: run the revisions on the connection that the store hands over."""

from alembic import context

from movierec.store.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
