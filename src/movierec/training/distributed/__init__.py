"""One training by several workers: their process group and the users each has."""
