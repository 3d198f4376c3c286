"""Edits of results on disk within seconds, offered back after a crash.

`autosave` puts together `edit_keeper`, which watches layers and writes in a thread of its own, and `recovery`, which
offers what a crash left. `edit_store` has a folder for each process and its limits; `edit_file` writes the parts of a
label image that changed, and `edited_layer` what else makes a layer of it again. `window_watch` tells a window that was
closed from one that crashed.
"""
