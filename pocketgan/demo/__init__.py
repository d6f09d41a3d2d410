"""The interactive page: draw an input, see what teacher and compressed networks make of it, slide the budget."""
