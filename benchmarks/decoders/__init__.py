"""Ways to tell objects apart, for `benchmarks/heads.py`: what a network is taught, and how its maps are read."""
