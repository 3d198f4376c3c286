"""Many processes and machines: units of a job, and fields of a plate, by dask.distributed (extra ``distributed``)."""
