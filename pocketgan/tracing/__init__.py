"""Any module as a generator: its forward becomes a program, its channels become width groups."""
