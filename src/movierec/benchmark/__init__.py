"""Models compared on the same splits with the same evaluation, and the report of it."""
