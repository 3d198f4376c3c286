"""PyTorch on a graphics card.

`gpu_backend` is the backend, and a `launched_batch` what it hands out. All it launches goes through the one thread
and the streams of its `graphics_card`, whose `transfers` run beside what is computed. `uploaded_images` keeps
images there as they were read, `device_pixels` makes windows of them. Networks are made fast by `gpu_layers`, with
the Triton kernels of `instance_norm_kernel`, and by `compilation`, which has them compiled by `inductor` in the
background.
"""
