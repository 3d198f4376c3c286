"""Training and evaluation: a folder of images and masks becomes a model package, and gets its scores.

* `train` tells a run from folder to package. A `training_recipe` says how; `dataset` reads the pairs, `split` holds
  groups of like images out, and `synthetic_scenes` (with `synthetic_clumps`, `synthetic_shapes` and
  `synthetic_background`) draws procedural images besides. `targets` is what the network learns to predict, `losses` by
  which measure.
* `sampling` draws which samples a step shows, out of a `crop_store` on the device that trains; `augment` makes its
  crops, all at once: through `views`, with what `paste` cuts out of others, and under a `light` of `light_effects`.
* `loop` takes the optimiser steps on a `state` that survives a kill and may begin with `initial_weights`;
  `learning_curves` draws its history. `tune_decoder` then chooses the decoder's parameters.
* `improve` makes a better model of one and of a few `corrected_images`: `improvement` is its course, `holding_back`
  what is scored rather than learnt, `corrected_regions` and `lessons` what is learnt, `replay` what is not to be
  forgotten, `fine_tune` the steps, `seen` what a network of any kind is shown, `improved_card` and `preview` what
  comes of it.
* `progress_events` are what those who watch either are told. A window has both done in a `training_process`, as a
  `job_folder` says.
* `data_check` says beforehand whether images and masks can be learnt from, by `pair_facts`; `validation_choice` holds
  something out however few they are.
* `cross_validation` trains and scores a recipe on `folds` of whole groups; `cross_validation_file` is its outcome, with
  which `train` makes a model of all images.
* `model_choice` ranks models and settings on a few annotated images, with the interval of `score_interval`.
* `evaluate` scores any method with `scores`, a baseline without learning too; `comparison` does it for several
  methods, `robustness` on images with `corruptions`. `report` and `contact_sheet` put the outcome into files.
"""
