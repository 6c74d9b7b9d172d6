"""The queue: order, claims, workers; what a run tells of itself."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in _run_columns():
        op.add_column("runs", column)
    op.execute("UPDATE runs SET place = id")
    op.add_column("run_epochs", sa.Column("memory_mb", sa.Double(), nullable=True))
    op.create_table(
        "workers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("pid_started_at", sa.Double(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("heartbeat_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sqlite_autoincrement=True,  # runs remember who took them: a number is not given twice
    )


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_column("run_epochs", "memory_mb")
    for column in _run_columns():
        op.drop_column("runs", column.name)


def _run_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("place", sa.Double(), nullable=False, server_default="0"),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("claimed_by", sa.Integer(), nullable=True),
        sa.Column("cancel_requested_at", TIME, nullable=True),
        sa.Column("facts", sa.JSON(), nullable=False, server_default="{}"),
    ]
