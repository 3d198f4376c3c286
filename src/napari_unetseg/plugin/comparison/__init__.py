"""Two models on the open image, side by side.

`comparing` opens `compare_dialog` and decides what it and the viewer show; `comparison_job` runs the second model in a
worker, and `comparison_layers` makes layers of what it found and of the differences. `comparison_words` are the
sentences and colours.
"""
