"""What several windows are made of.

`words` are the sentences they share, `messages` and `badge` where they are shown, `collapsible` `form` and
`scrolling` how rows are laid out, `pin_button` and `drops` small helps, `card_text` a model's card as text,
`server_names` what people call a server, and `result_summary` what a segmentation found, in a few figures.
"""
