"""The Dockerfile and compose.yaml carried out without a container engine, to see that they work.

`python -m tools.container` makes a bare Debian with debootstrap, runs the Dockerfile's own steps
in it and starts the services of compose.yaml from the result. It needs root on Debian.
"""
