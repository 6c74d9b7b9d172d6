"""Runs: rows that describe work, and the processes that do it."""

from movierec.jobs.submit import cancel, submit_import, submit_train

__all__ = ["cancel", "submit_import", "submit_train"]
