"""Inference: how a model runs, from an image to probabilities."""
