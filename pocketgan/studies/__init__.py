"""Studies: several recipes side by side, over several seeds, that give one table and one plot."""
