"""The types of msg/ generated and compiled; needed by setup.py alone."""
