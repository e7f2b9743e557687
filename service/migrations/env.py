"""Alembic's environment: the models' metadata against the connection that the caller opened."""

from typing import Any

import sqlmodel
from alembic import context

import service.accounts.models
import service.app
import service.applications.models
import service.audit
import service.catalogue.models
import service.permits.models
import service.transparency.models  # noqa: F401
from service.jobs import owns_table


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave the job queue's own tables alone."""
    return not (kind == "table" and name and owns_table(name, parents.get("schema_name")))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=sqlmodel.SQLModel.metadata,
    include_name=include_name,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
