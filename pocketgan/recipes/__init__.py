"""Recipes: which stages make a compressed generator, and with which numbers."""
