"""Versions and lists for other places: model cards, MLflow runs, files of lists."""
