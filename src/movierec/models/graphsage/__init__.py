"""GraphSAGE: network, heads, losses, features, and its trained form."""
