"""The napari face: a dock widget, menu entries, readers and writers. The only room that imports napari or Qt.

What napari finds by the manifest are the modules here, thin ones that hand on to the rooms: `widget` puts the dock
together, `functions` and `commands` are scripts and menus, `readers` and `writers` File > Open and File > Save,
`sample_data` File > Open Sample, and `languages` runs when the plugin is activated. `converting` turns labels into
contours and back, and `demo_window` is the window that `napari-unetseg demo` opens.

Of the rooms, lower ones know nothing of higher ones: `layers` (what layers mean) and `parts` (small pieces that several
windows show) lie lowest, then `workers` (threads, runs and services), then the windows `add_model`, `folder`, `panel`
and `table`, and on top `dock`, the rows of the widget.
"""
