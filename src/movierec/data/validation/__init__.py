"""Checking an import: every row is kept, or dropped with a reason."""
