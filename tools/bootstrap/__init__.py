"""Set-up of a fresh machine, behind `make run` and `make test`.

Standard library only: it runs before anything is installed. `tools/bootstrap.sh` finds a
Python and starts `python -m tools.bootstrap`.
"""
