"""OME-Zarr (OME-NGFF 0.1 to 0.5): multiscale images, label images and plates, read and written with zarr itself.

<<<<<<< HEAD
`location` says where one lies, in a folder, an archive or behind a URL, and tells it from other files without zarr;
`opening` opens its groups and arrays, `metadata` knows what they say. `images` makes an `Image` of a level, and
`plate_layout` finds wells and fields.

`label_creation` begins a label image and `labels` writes it block by block, in the levels that `pyramid` plans, with
what `label_metadata`, `label_list` and `label_table` say of it; `maps` does so with probabilities, and `packing` makes
an archive of a folder.
=======
* `location` says where a store lies, `opening` opens it, `metadata` is what it says of itself, `images` what a reader
  makes of that, and `plate_layout` which wells and fields a plate has.
* `label_creation` makes a label image, within an image or as a store of its own, and `labels` writes its blocks,
  finishes it and opens it again. `pyramid` are the arrays of all levels, `label_metadata` what is said of them,
  `label_list` how readers find them, and `label_table` the measurements kept with them.
* `maps` writes probabilities, and `packing` makes one file of a finished store.
>>>>>>> zarrread
"""
