"""Folders of images: which files, what is done already, and one result after the other. No window, no shell."""
