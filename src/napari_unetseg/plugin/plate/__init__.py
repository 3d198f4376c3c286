"""The window that segments a plate of OME-Zarr: its wells as a grid, by status or by count.

`plate_window` opens it once. `plate_dialog` puts together the form (`plate_form`), the wells (`well_grid`, in the
colours of `well_colours`), the fields of those that are chosen (`well_fields`) and the sentences (`plate_words`).
`plate_facts` knows how each field and well stands, and `plate_reading` reads plates and results in workers.
"""
