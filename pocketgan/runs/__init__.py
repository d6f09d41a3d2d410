"""Carrying out recipes: runs and their folders, reports, and further budgets from a finished run."""
