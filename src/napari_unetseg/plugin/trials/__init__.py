"""Try all: what every model finds on each channel of what is on display, as tiles of which one is chosen.

`sources` says what can be tried of a layer, `trial_run` tries it in a worker, and `trials_dialog` shows the tiles,
which `tile_view` draws. Nothing here adds layers.
"""
