"""Trainings and sweeps on a Ray cluster."""
