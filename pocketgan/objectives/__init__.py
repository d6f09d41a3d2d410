"""Objectives: one game a file. Each `step` reads as the algorithm box of its paper."""
