"""How fast this machine is: which batches and windows suit it, and which backend; for `napari-unetseg benchmark`.

`batch_tuning` decides which batches are tried, in which order, and which is best, on any `BenchmarkTarget`; `measuring`
is the real one. It runs a `benchmarked_model`, a model on a device, and lets `memory_process`, a process of its own,
watch its memory on a CPU. `backend_comparison` times every backend and precision in turns, each in a `backend_process`.
"""
