"""What the window of folders says."""

from napari_unetseg.batch.output_files import ResultKind
from napari_unetseg.language import mark

COLUMNS = (mark("Image"), mark("Status"), mark("Objects"), mark("Time"), mark("Message"))
TABLE_TIP = mark("Double-click a row to open its image with its labels in napari.")
NO_MODEL_CHOSEN = mark("Choose a model in the panel first.")
NO_FOLDER = mark("Choose a folder of images.")
NOT_TAKEN = mark("Drop a folder here, or images of one folder.")
NO_IMAGES = mark("No image fits. Change the names or the scenes, or look into sub-folders.")
PLATE = mark("This folder is a plate. It has a window of its own, with its wells as a grid.")
OPEN_PLATE = mark("Open the plate")
OPEN_PLATE_TIP = mark("Opens the window of plates with this one.")
LOOKING = mark("Looking for images...")
READY_TO_RUN = mark("Press Run. What is done already is skipped; Cancel keeps what is finished.")
STARTING = mark("Preparing the model and looking for what is done already...")
CANCELLING = mark("Cancelling...")
FOLDER_TIP = mark("Folder of the images. They are read, never changed.")
PATTERN_TIP = mark("Which names to take, such as *.tif; several are separated by semicolons.")
SCENES_TIP = mark(
    "Of files that hold several images (CZI, ND2, LIF and others): names of scenes or positions, or their numbers\n"
    "from 0, separated by commas, such as Series* or 0,2. Each is an image of its own. * takes all."
)
RECURSIVE_TIP = mark("Look into the folders in it, too. Folders of results are left out.")
OUTPUT_TIP = mark(
    "Folder of the results, made if needed. It also gets a table of all objects, a table of all files, and a journal\n"
    "by which a later run knows what is done."
)
REDO_TIP = mark("Segment also what was done with the same model and parameters.")
WITH_TIP = mark("Model, device and parameters are those of the panel when Run is pressed.")
SHOW_TIP = mark("Opens the folder of the results in your file manager.")
REVIEW_TIP = mark("Go through the results, the most doubtful first: accept, correct or reject each with one key.")
RUN_TIP = mark("Segment the images one after the other, in the background.")
CANCEL_TIP = mark("Stop. What is finished is kept, and Run goes on from there.")

RESULTS: dict[ResultKind, tuple[str, str]] = {
    ResultKind.LABELS: (
        mark("Label image"),
        mark("A TIFF in which every object has a number, with pixel size. Always kept."),
    ),
    ResultKind.TABLE: (
        mark("Table"),
        mark("A CSV file of measurements, one row an object. Always kept: the summary is made of it."),
    ),
    ResultKind.CONTOURS: (mark("Contours (GeoJSON)"), mark("Outlines with measurements, for QuPath and others.")),
    ResultKind.ROIS: (mark("ImageJ ROIs"), mark("A zip file of outlines that ImageJ's ROI Manager opens.")),
    ResultKind.OME_TIFF: (
        mark("OME-TIFF labels"),
        mark("The label image once more, for Bio-Formats, OMERO and Python."),
    ),
    ResultKind.CONFIDENCE: (
        mark("Confidence map"),
        mark("A TIFF that tells for each pixel how sure the model is, 0 to 1. Takes four bytes a pixel."),
    ),
    ResultKind.OVERLAY: (
        mark("Picture with outlines"),
        mark("A PNG of the image with its objects outlined, to judge by."),
    ),
    ResultKind.COCO: (
        mark("COCO"),
        mark("Outlines as programs for annotating and training keep them, and one file of all images together."),
    ),
    ResultKind.YOLO: (
        mark("YOLO"),
        mark("A text file of outlines for each image, and the files that name the classes."),
    ),
    ResultKind.CELLPOSE: (
        mark("Cellpose"),
        mark("The file of masks that Cellpose's window opens, <image>_seg.npy."),
    ),
}
