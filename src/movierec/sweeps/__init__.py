"""Hyperparameter searches: what is asked, the trials, where they are kept, what came out."""
