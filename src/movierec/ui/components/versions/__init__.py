"""Versions as several pages show them: table, charts, actions."""
