"""The HTTP API (FastAPI) in front of one `SegmentationService`, which `napari-unetseg serve` starts.

`app` puts it together, `startup` makes it ready, and what all of it shares is a `context`. Around the endpoints lie
layers: records of requests (`audit`, `metrics`), their ids (`request_ids`), who may ask (`access`, `keys`,
`rate_limit`) and how much (`request_limits`). An endpoint reads a request (`bodies`) and lets `workers` do the work in
a thread; `errors` says what went wrong. `openapi` describes it all, with `openapi_examples`. Jobs (`job_routes`,
`job_runner`, `job_store`) go on when their client has gone. `ray_app` is the same on several processes or machines.
"""
