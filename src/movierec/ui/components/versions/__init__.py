"""Versions as several pages show them: metrics, curves, calibration, actions."""
