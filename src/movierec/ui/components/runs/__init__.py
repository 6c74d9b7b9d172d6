"""Runs as every page shows them: live, just finished, in words."""
