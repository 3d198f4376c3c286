"""The window of a plate: its wells as a grid, what became of each, and their counts."""
