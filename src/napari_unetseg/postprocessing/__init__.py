"""From probability maps to objects, and from objects to outlines, confidence and measurements.

Plain functions on NumPy arrays; nothing here imports torch or napari, or knows files.

* `decoding` reads a label image off the maps of one plane. Touching objects are divided by a watershed in three
  modules: `landscape` (the heights), `basins` (watershed basins and saddle points, block by block) and `merging`
  (which basins are one object, and which slivers join a neighbour); `reduction` makes few groups of many basins.
  `smoothing`, `holes` and `numbering` finish. What the room `blockwise` needs of each for a part of an image is here.
* `stacks` and `linking` do the same for stacks: plane by plane, then objects linked along z and tracked along t.
* `contours` traces exact outlines and draws them back; `measurements` is the table of objects, with the figures of
  `shape`, `hulls` and `confidence`, whose `exact_sums` do not depend on the order of pixels. All take large images in
  `object_groups`, as other modules take them in `blocks`.
* `fixes` mends single objects by the map: `adding`, `cutting` (split and merge) and `outline_steps` (grow and shrink)
  see labels and map together as a `labelled_map`.
* `label_differences` tells where two label images differ, object by object.
* `edits` keeps objects that a user drew or deleted when the others are decoded again.
* `layer_data` makes of a result what napari layers are made of, for the window and for notebooks alike.
* `parameters` are the decoder's parameters, as a model card and a user give them.
"""
