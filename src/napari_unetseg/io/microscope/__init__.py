"""Files of microscopes: CZI, ND2, LIF, OIF and OIB, MRC, DICOM, and what bioio reads beside them.

* `scene` says what a file gives, whoever reads it.
"""
