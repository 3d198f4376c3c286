"""OME-Zarr (OME-NGFF 0.4 and 0.5): multiscale images, label images and plates, read and written with zarr itself."""
