"""The first schema: until the first release it is made from the models as they stand."""

import sqlalchemy as sa
from alembic import op
from sqlmodel import SQLModel

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    SQLModel.metadata.create_all(op.get_bind())
    op.execute(sa.text("INSERT INTO log_head (id, size) VALUES (1, 0)"))
    op.execute(
        sa.text("INSERT INTO audit_head (id, number, hash) VALUES (1, 0, :hash)").bindparams(hash="0" * 64)
    )


def downgrade() -> None:
    SQLModel.metadata.drop_all(op.get_bind())
