"""What a label image in a TIFF file says of itself."""

import json
from pathlib import Path
from typing import Any

_OURS = ("model", "parameters")


def read_record(path: str | Path) -> dict[str, Any]:
    """Return how the labels came about, as they were written; nothing where another program wrote the file.

    Raises
    ------
    OSError, tifffile.TiffFileError
        If the file cannot be opened.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        text = (file.imagej_metadata or {}).get("Info") if file.is_imagej else None
        if text is None and file.is_ome and file.ome_metadata:
            image = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
            text = image.get("Description") if isinstance(image, dict) else None
    try:
        said = text if isinstance(text, dict) else json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) and all(key in said for key in _OURS) else {}
