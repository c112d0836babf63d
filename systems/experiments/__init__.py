"""Experiments: which runs they come to, where these are kept, and the reports on them."""
