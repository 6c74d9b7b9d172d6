"""Tags, notes and origin of a version, the trash, and how `current` moved."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in _version_columns():
        op.add_column("versions", column)
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("checks", sa.JSON(), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
        sqlite_autoincrement=True,  # a history: a number is not given twice
    )


def downgrade() -> None:
    op.execute("UPDATE versions SET deleted_at = trashed_at WHERE trashed_at IS NOT NULL")
    op.drop_table("promotions")
    for column in _version_columns():
        op.drop_column("versions", column.name)


def _version_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("notes", sa.Text(), nullable=False, server_default=""),
        sa.Column("origin", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("trashed_at", TIME, nullable=True),
        sa.Column("trashed_until", TIME, nullable=True),
    ]
