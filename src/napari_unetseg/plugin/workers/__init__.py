"""What the window does in background threads.

`background` runs one function in Qt's thread pool, with reports on its way and a way to stop it; `latest_worker` does
so with questions that come faster than they can be answered. `run_controller` starts and ends runs, and `segment_job`
is what a run does in its thread, one layer after the other. `batch_run` takes files through a service, by `batch`, and
`opener` opens one of them in the viewer. `services` keeps the services that all windows share,
`servers` the keys for servers, and `preload_torch` reads torch's libraries before a service imports them.
"""
