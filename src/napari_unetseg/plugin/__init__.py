"""The napari face: a dock widget, menu entries and samples. The only room that imports napari or Qt."""
