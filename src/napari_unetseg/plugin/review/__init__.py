"""The window in which the results of a folder are accepted, corrected or rejected.

`reviewing` opens it, once. `review_panel` is what it looks like: a list of images (`queue_view`) with their pictures
(`thumbnails`), the doubtful objects of the one on display (`objects_view`), and buttons; `review_words` is what it
says. `review_session` does what the buttons and `review_keys` ask for: `shown_image` shows an image with its labels
in the viewer and lets them be corrected, and `decisions` writes down what was decided, one thing after the other
(`in_order`).
"""
