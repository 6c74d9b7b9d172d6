"""First tables: data sets with users, movies, ratings; runs with epochs; versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_datasets()
    _create_users_and_movies()
    _create_ratings()
    _create_runs()
    _create_versions()


def downgrade() -> None:
    for name in ("versions", "run_epochs", "runs", "ratings", "movies", "users", "datasets"):
        op.drop_table(name)


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("imported_at", TIME, nullable=False),
        sa.Column("n_users", sa.Integer(), nullable=False),
        sa.Column("n_movies", sa.Integer(), nullable=False),
        sa.Column("n_ratings", sa.Integer(), nullable=False),
        sa.Column("rating_low", sa.Double(), nullable=False),
        sa.Column("rating_high", sa.Double(), nullable=False),
        sa.Column("rating_step", sa.Double(), nullable=False),
        sa.Column("has_timestamps", sa.Boolean(), nullable=False),
        sa.Column("user_columns", sa.JSON(), nullable=False),
        sa.Column("movie_columns", sa.JSON(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.UniqueConstraint("fingerprint", name="uq_datasets_fingerprint"),
        sa.UniqueConstraint("name", name="uq_datasets_name"),
    )


def _of_dataset(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["dataset_id"],
        ["datasets.id"],
        name=f"fk_{table}_dataset_id_datasets",
        ondelete="CASCADE",
    )


def _create_users_and_movies() -> None:
    op.create_table(
        "users",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("user_index", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("age", sa.Double(), nullable=True),
        sa.Column("gender", sa.Text(), nullable=True),
        sa.Column("occupation", sa.Text(), nullable=True),
        sa.Column("zip_code", sa.Text(), nullable=True),
        _of_dataset("users"),
        sa.PrimaryKeyConstraint("dataset_id", "user_index", name="pk_users"),
        sa.UniqueConstraint("dataset_id", "user_id", name="uq_users_dataset_id_user_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "movies",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("movie_index", sa.Integer(), nullable=False),
        sa.Column("movie_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("year", sa.Double(), nullable=True),
        sa.Column("genres", sa.Text(), nullable=True),
        _of_dataset("movies"),
        sa.PrimaryKeyConstraint("dataset_id", "movie_index", name="pk_movies"),
        sa.UniqueConstraint("dataset_id", "movie_id", name="uq_movies_dataset_id_movie_id"),
        sqlite_with_rowid=False,
    )


def _create_ratings() -> None:
    op.create_table(
        "ratings",
        sa.Column("dataset_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("user_index", sa.Integer(), nullable=False),
        sa.Column("movie_index", sa.Integer(), nullable=False),
        sa.Column("rating", sa.Double(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=True),
        _of_dataset("ratings"),
        sa.PrimaryKeyConstraint("dataset_id", "position", name="pk_ratings"),
        sqlite_with_rowid=False,
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("heartbeat_at", TIME, nullable=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("pid_started_at", sa.Double(), nullable=True),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("traceback", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_table(
        "run_epochs",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=True),
        sa.Column("val_loss", sa.Double(), nullable=True),
        sa.Column("val_rmse", sa.Double(), nullable=True),
        sa.Column("val_ndcg_10", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("is_best", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_run_epochs_run_id_runs", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "epoch", name="pk_run_epochs"),
        sqlite_with_rowid=False,
    )


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("preset", sa.Text(), nullable=False),
        sa.Column("dataset_name", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("split_label", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("is_missing", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name="fk_versions_run_id_runs", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("name", name="uq_versions_name"),
    )
    op.create_index(
        "ix_versions_one_current",
        "versions",
        ["is_current"],
        unique=True,
        sqlite_where=sa.text("is_current"),
        postgresql_where=sa.text("is_current"),
    )
