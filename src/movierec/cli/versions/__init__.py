"""`movierec versions` and its many sub-commands."""
