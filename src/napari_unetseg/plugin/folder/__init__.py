"""The window that segments a folder of images.

`folder_batch` opens it once. `folder_dialog` puts together the form (`folder_form`), the files as a table
(`file_table`) and the sentences (`folder_words`); `search` looks for images and results in workers.
"""
