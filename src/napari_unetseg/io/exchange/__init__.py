"""Label images as other programs keep them: COCO, YOLO and Cellpose.

* `labelled_image` is what all of them are made of and read as: a label image with the class of each object.
* `coco` is one JSON file for any number of images, with `run_lengths` where an outline cannot say what an object
  covers; `yolo` is a text file an image, with outlines of one ring each (`one_ring`); `cellpose_seg` is the file that
  Cellpose's window keeps beside an image, a pickle that `plain_pickle` reads without running anything.
* `label_files` tells formats apart, reads any of them and ours, and writes one as another.
"""
