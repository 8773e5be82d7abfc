"""Members over the grid, CF files and stocks."""
