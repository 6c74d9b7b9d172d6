"""The Sweeps view of the Train page."""
