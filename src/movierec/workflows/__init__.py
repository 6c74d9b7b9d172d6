"""Where the rooms meet: what the CLI, the worker, the pages and tests call.

Import the module you need (`movierec.workflows.data`, …): some of them load torch.
"""
