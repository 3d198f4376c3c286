"""From images to probability maps, on whatever device there is.

`predict` tells the whole of it: `schedule` says in which order the tiles of many images are computed, `image_task` is
one image under way, with its pixels brought into the network's range by `normalisation`, which takes their own from
`intensity_range`, and divided into windows by `tiling`, and a backend of `backends` runs the network on a batch of
them. `prediction` holds what is requested and what comes of it. Where memory runs out `out_of_memory` decides how to go
on. `augmentation` averages over flips and turns.

`object_size` says at which size the network sees an image, and `resampling` brings it there; `size_estimate` guesses
the size of its objects without a model, and `rescale_decision` reads it off a first result. `int8_calibration` brings a
model into int8. What the window or a forecast needs before torch is loaded imports no torch: tests/test_imports.py
names those modules.
"""
