"""The window in which the results of a folder are accepted, mended or rejected.

`reviewing` opens it, once. `review_panel` puts together the list of images (`queue_view`) with their pictures
(`thumbnails`), the doubtful objects of the one on display (`objects_view`) and the keys, and says what is at hand with
`review_words`; `shown_image` shows an image with its labels in the viewer and lets them be edited. What reads or
writes the folder goes through `in_order`, one thing after the other, off the GUI thread.
"""
