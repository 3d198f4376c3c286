"""The table of objects below the image.

`table_dock` opens and closes it and ties it to layers, `objects_table` shows the rows of one Labels layer, in a
`rows_view` by a `table_model` with `column_titles`, and `histogram` draws one of its columns. `edit_watch` notices
that labels were changed since they were measured, and `removal` deletes objects with everything that shows them.
"""
