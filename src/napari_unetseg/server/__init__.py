"""The HTTP API (FastAPI) in front of one `SegmentationService`, which `napari-unetseg serve` starts."""
