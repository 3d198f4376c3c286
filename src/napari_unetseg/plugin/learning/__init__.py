"""Learn from what the user corrects, and train new models: the dock and its two tabs."""
