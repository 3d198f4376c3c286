"""Many processes and machines: units of a job, and images of a batch, by dask (extra *distributed*).

`connection` reaches a scheduler, or starts workers on this machine. `dask_executor` hands units of a stage to workers
in groups, each of which `worker_units` does in the worker, with one service and one opened job a process; `submitted`
holds what is under way. `distributor` does the same with whole images. `worker_check` looks whether workers can do it
at all. What is done lies in the folder of the job or of the results, so nothing is lost but what was under way,
whatever dies.
"""
