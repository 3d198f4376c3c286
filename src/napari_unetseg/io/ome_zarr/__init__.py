"""OME-Zarr (OME-NGFF 0.1 to 0.5): multiscale images, label images and plates, read and written with zarr itself.

* `location` says where a store lies, `opening` opens it, `metadata` is what it says of itself, `images` what a reader
  makes of that, and `plate_layout` which wells and fields a plate has.
* `label_creation` makes a label image, within an image or as a store of its own, and `labels` writes its blocks,
  finishes it and opens it again. `pyramid` are the arrays of all levels, `label_metadata` what is said of them,
  `label_list` how readers find them, and `label_table` the measurements kept with them.
* `maps` writes probabilities, and `packing` makes one file of a finished store.
"""
