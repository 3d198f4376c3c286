"""Files of microscopes: CZI, ND2, LIF, OIF and OIB, MRC, DICOM, and what bioio reads beside them.

* `opening` opens any of them and reads a scene as an `Image`; it knows which library reads what, and which to install.
* `location` is how a scene is addressed: by a path that leads into its file.
* `scene` says what a file gives, whoever reads it, and keeps a file open as long as somebody reads it; `planes` reads
  its stacks plane by plane.
* `czi`, `nd2_files`, `lif`, `olympus`, `mrc`, `dicom` and `bioio_files` are each one library.
"""
