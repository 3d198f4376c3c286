"""OpenVINO as the runtime of a network, and its int8.

`library` imports it so that it reports its use to nobody, and `probe` tries in a process of its own whether it works on
this machine. `conversion` brings a network into its form and keeps that for the next time, and `openvino_backend` runs
it. `int8_store` keeps models that were calibrated, in the process that `nncf_process` is.
"""
