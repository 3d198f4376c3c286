"""What a model's output means: objects, their outlines, confidence and measurements."""
