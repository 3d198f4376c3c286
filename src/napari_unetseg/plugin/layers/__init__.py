"""What a layer of napari means, from the pixels a run reads to the layers that show its result; without Qt.

On the way in, `axes` says what each axis of a layer is, by one table of names for the window and for files; `plane`
turns a layer into what is segmented, a plane, a part of it or a stack, and says where results lie; `run_areas`
chooses among these by what the viewer shows; and all of them go through `world` between pixels and the world of a
viewer. On the way out, `outputs` makes the layers of a result from the data that `postprocessing.layer_data` gives
the window and notebooks alike, `result_layers` keeps them in line with the sliders, `editing` reads what users drew
on them, and `exports` reads any layer for a file of contours or labels, with measurements that `measured` has brought
up to date. `file_layers` makes layers of an image file and of what a batch found in it. `file_axes` asks the file of
a layer for its axes, `sources` remembers the image of a result, and `sight` tells whether one can be seen.
`napari_types` is as much of napari's layers as all of them use.
"""
