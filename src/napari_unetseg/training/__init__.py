"""Training and evaluation: a folder of images and masks becomes a model package, and gets its scores.

* `train` tells a run from folder to package. A `training_recipe` says how; `dataset` reads the pairs, `split` holds
  groups of like images out, `sampling` draws crops as `augment` and `paste` vary them, and `synthetic_scenes` (with
  `synthetic_background`) draws procedural images besides. `targets` is what the network learns to predict, `losses` by
  which measure.
* `loop` takes the optimiser steps on a `state` that survives a kill and may begin with `initial_weights`;
  `learning_curves` draws its history. `tune_decoder` then chooses the decoder's parameters.
* `evaluate` scores any method with `scores`, a baseline without learning too; `comparison` does it for several
  methods, `robustness` on images with `corruptions`. `report` and `contact_sheet` put the outcome into files.
"""
