"""Thumbs on recommendations: how they went by version, and training with them."""
