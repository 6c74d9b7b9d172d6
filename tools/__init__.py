"""What the project needs around the package: set-up of a machine."""
