"""The window that segments a folder of images."""
