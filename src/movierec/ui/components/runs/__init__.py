"""Runs as every page shows them: live, just finished, as text."""
