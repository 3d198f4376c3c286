"""Training: a folder of images and masks becomes a model package, and gets its scores."""
