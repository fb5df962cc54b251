"""What alembic runs: migrate on the connection that `stager.catalog` hands over."""

from alembic import context

from stager import records as _records  # noqa: F401 - its tables belong to the same catalog
from stager.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
)
with context.begin_transaction():
    context.run_migrations()
