"""Whole images out of core, from the window: labels appear block by block while a run goes on."""
