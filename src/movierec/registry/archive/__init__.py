"""A version as one file, written to be read by anybody and checked on reading."""
