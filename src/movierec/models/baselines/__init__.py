"""The baselines that GraphSAGE stands beside, one file each."""
