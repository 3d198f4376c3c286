"""Many processes and machines: units of a job, and fields of a plate, by dask.distributed (extra ``distributed``).

`connection` reaches a scheduler, or starts workers on this machine. `DaskExecutor` (`dask_executor`) hands units of a
stage to workers in groups, each of which `worker_units` does in the worker, with one model and one opened job a process
(`worker_service`); `submitted` holds what is under way. `segment_fields` (`fields`) does the same with whole images.
`worker_check` looks whether workers can do it at all. What is done lies in the folder of the job or of the results, so
nothing is lost but what was under way, whatever dies.
"""
