"""Folders of images: which files, which of them are done already, and results on disk. No window, no shell.

`segment_files` takes a `BatchJob` through a service and reports each step as an event of `events`, which the command
line prints and the folder window draws.

* `find_images` lists the images of a folder, and `output_files` gives each a name for its results that no other has.
  What `places` calls an image may be an OME-Zarr folder or a URL, too; `contents` tells whether it changed.
* `plates` makes a batch of the fields of a plate; `conditions` are what was done to its wells.
* `prefetch` loads the next file in a thread while the network runs; `background_writer` writes in another one, at most
  two results behind the network.
* `result_store` knows what is done already and writes results, each kind by `saving`. `folder_journal` gets a line,
  synced to the disk, as each file is finished, so that a killed run loses only what was not written yet; `fingerprint`
  is the model and the parameters by which a file counts as done.
* `result_check` tells by size and hash whether the files that the journal vouches for are as they were written.
  `io.claims` keep processes that share a folder from doing an image twice.
* `zarr_results` writes labels and maps as OME-Zarr, into images or beside them. Images beyond memory are done block by
  block, after the others; with a `Distributor` others do the rest, a `BatchPart` each.
* `summary_tables` writes the tables of a folder from the journal and the tables of its images, however a run ends.
* `folder_review` is the review of a folder's results: `result_doubt` reads what a result says of itself (its table by
  `object_columns`, faint spots of its confidence map by `missed_objects`) and `doubt` judges it; decisions are lines of
  the journal. `corrected_results` writes the files of labels that were corrected, and brings those of before back.
* `review_report` makes a page of a review, with `review_page` for its look and `result_thumbnail` for its pictures;
  `training_export` copies what was found right for a model to learn from.
"""
