"""The table of objects below the image.

`table_dock` opens and closes it and ties it to layers, `objects_table` shows the rows of one Labels layer by a
`table_model`, and `histogram` draws one of its columns.
"""
