"""`python -m napari_unetseg` is the command line `napari-unetseg`."""

from napari_unetseg.cli.main import app

app(prog_name="napari-unetseg")
