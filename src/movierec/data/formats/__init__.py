"""Readers of rating files: each brings a file to rows of text."""
