"""Stages as values, and the store that remembers what they made."""
