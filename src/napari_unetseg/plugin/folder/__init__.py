"""The window that segments a folder of images.

`folder_batch` opens it once. `folder_dialog` puts together the form (`folder_form`), the files as a table
(`file_table`) and the sentences (`folder_words`); `folder_run` takes the files through the service in a worker, by
`batch`, and `open_result` opens a file of the table in the viewer.
"""
