"""Whole images to disk, from the window: labels appear block by block while a run goes on.

`destination_dialog` asks where they go, with what `destination` finds on the disk. `stored_run` starts `stored_job` in
a worker, which opens the label image by `label_store` and lets the service segment block by block; `stored_layer` shows
what is written.
"""
