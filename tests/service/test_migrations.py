"""The migrations make exactly the schema that the models describe, on both databases."""

import sqlmodel
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlmodel import Session, select

from service.audit import AuditHead
from service.jobs import owns_table
from service.transparency.models import LogHead


def test_the_migrated_schema_is_the_models(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: not (kind == "table" and owns_table(name)),
            },
        )
        assert compare_metadata(context, sqlmodel.SQLModel.metadata) == []


def test_a_new_database_has_the_heads_that_appends_lock(engine: Engine) -> None:
    with Session(engine) as session:
        assert session.exec(select(AuditHead.number)).one() == 0
        assert session.exec(select(LogHead.size)).one() == 0
