"""What goes over HTTP between server and client: names, shapes and encodings, and nothing else.

`models` are the requests and answers in JSON. `images` reads the image files of requests, which come from strangers:
`image_headers` says what a file declares before anything is decoded, `tiff_structure` walks through the directories of
a TIFF file. `encodings` makes answers of results and reports. `prediction_stream` is a prediction, with its progress,
as one answer. Server and client import this room; it imports neither of them.
"""
