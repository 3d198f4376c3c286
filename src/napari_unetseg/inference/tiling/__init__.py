"""How an image is divided into windows for the network, and its answers put together. Imports no torch.

`plan` decides by the network's facts: `exact` tiles give what the whole image would give, `blended` windows are for
networks that take statistics from all they see.
"""
