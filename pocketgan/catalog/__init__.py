"""The catalog: recipes by name, each with what it reproduces; one file of rows for each paper."""
