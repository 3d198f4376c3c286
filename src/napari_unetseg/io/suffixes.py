"""Endings of the files that can be read. Known without the libraries that read them."""

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8", ".lsm", ".stk", ".svs", ".ndpi", ".scn", ".bif", ".qptiff")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm", ".ppm")

CZI_SUFFIXES = (".czi",)
ND2_SUFFIXES = (".nd2",)
LEICA_SUFFIXES = (".lif", ".lof", ".xlif", ".xlef")
OLYMPUS_SUFFIXES = (".oif", ".oib")
MRC_SUFFIXES = (".mrc", ".mrcs", ".rec", ".st")
DICOM_SUFFIXES = (".dcm", ".dicom")
BIOIO_SUFFIXES = (".oir", ".vsi", ".dv", ".r3d", ".ims", ".sld", ".sldy")
"""What bioio reads by a plug-in, and nothing else here does."""

MICROSCOPE_SUFFIXES = (
    *CZI_SUFFIXES,
    *ND2_SUFFIXES,
    *LEICA_SUFFIXES,
    *OLYMPUS_SUFFIXES,
    *MRC_SUFFIXES,
    *DICOM_SUFFIXES,
    *BIOIO_SUFFIXES,
)

IMAGE_SUFFIXES = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES, ".npy", *MICROSCOPE_SUFFIXES)
