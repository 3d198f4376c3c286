"""Click to fix: tools that act on the objects of the selected result by its probability map."""
