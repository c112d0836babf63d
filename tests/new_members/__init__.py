"""A new control, optimiser, task, network and feature: each one file, whose last line registers it.

They are a test's own: `tests/test_new_members.py` registers them and runs the contracts over them.
"""
