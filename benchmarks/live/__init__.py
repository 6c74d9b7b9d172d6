"""The pieces of `benchmarks/dashboard.py`: a real server, real browsers, sessions without one."""
