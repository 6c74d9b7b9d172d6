"""Versions that several machines share through one artifact location."""
