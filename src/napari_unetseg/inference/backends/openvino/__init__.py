"""OpenVINO as the runtime of a network, and its int8.

`library` imports it so that it reports its use to nobody, and `probe` tries in a process of its own whether it works
on this machine. `network_conversion` brings a network into its form and keeps that for the next time, and
`openvino_backend` runs it. `nncf_process` makes a model in int8 of it in a process of its own, and `int8_store` keeps
that with how it did.
"""
