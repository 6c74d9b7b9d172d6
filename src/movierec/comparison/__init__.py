"""Versions side by side: may they be compared, which one is better, for whom, and how surely."""
