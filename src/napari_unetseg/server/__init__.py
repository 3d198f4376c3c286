"""The HTTP API (FastAPI) in front of one `SegmentationService`, which `napari-unetseg serve` starts.

`app` puts it together. An endpoint reads a request, `workers` runs the work in a thread, and `errors` says what went
wrong; what all of them share is a `context`.

For what takes longer than a request may, `job_routes` keep an image in the `job_store`, where `job_runner` finds it.
"""
