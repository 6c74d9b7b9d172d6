"""Versions on disk: written whole, checked on reading, one of them current."""

from movierec.registry.registry import Registry, VersionDraft

__all__ = ["Registry", "VersionDraft"]
