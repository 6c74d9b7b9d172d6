"""Recommenders: one protocol, GraphSAGE and the baselines it stands beside."""
