"""Foreign file formats, and nowhere else."""
