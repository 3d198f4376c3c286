"""OME-Zarr (OME-NGFF 0.1 to 0.5): multiscale images, label images and plates, read and written with zarr itself.

`location` says where one lies, in a folder, an archive or behind a URL, and tells it from other files without zarr;
`opening` opens its groups and arrays, `metadata` knows what they say. `images` makes an `Image` of a level, and
`plate_layout` finds wells and fields.

`label_creation` begins a label image and `labels` writes it block by block, in the levels that `pyramid` plans, with
what `label_metadata`, `label_list` and `label_table` say of it; `maps` does so with probabilities, and `packing` makes
an archive of a folder.
"""
