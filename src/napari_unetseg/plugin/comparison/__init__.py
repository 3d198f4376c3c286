"""Two models on the open image, side by side."""
