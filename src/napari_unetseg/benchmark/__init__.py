"""How fast this machine is: which batches and windows suit it, and which backend; for `napari-unetseg benchmark`.

`batch_tuning` decides what is measured, on any `BenchmarkTarget`; `measuring` is the real one, whose memory on a CPU
`memory_process` watches from a process of its own. `backend_comparison` times every backend and precision in turns,
each in a `backend_process`.
"""
