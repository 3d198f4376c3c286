"""The window in which the results of a folder are accepted, mended or rejected."""
