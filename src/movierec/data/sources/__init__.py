"""Obtaining a data set: a folder, GroupLens, or the copy in a Python package."""
