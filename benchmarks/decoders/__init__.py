"""Ways to tell objects apart that `benchmarks/heads.py` compares: what a network is taught, and how its maps are read."""
