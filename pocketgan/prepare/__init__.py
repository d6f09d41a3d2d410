"""The published data sets: what they are, where they come from, and how they become folders to train on."""
