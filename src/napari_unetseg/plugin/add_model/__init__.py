"""Add a model from a checkpoint or a model package.

`adder` examines a file and writes the model, in workers; `model_dialog` shows what was recognised and asks what the
file does not say, and `model_words` are its sentences.
"""
