"""The rows of the dock widget, from top to bottom, and what keeps them in step; `plugin.widget` puts them together.

The rows: `input_rows` (image, `axes_row`, `run_on_box`, `model_box`, `device_box`), `object_size_row`, `run_row`,
`adjustments` and `result_actions`. `rows` hands them to what reads and sets them: `run_messages` says what a run is
at, `add_model_rows` what happens while a model is added, `server_rows` what a chosen server has and lacks,
`run_forecast` what a run would take, `stored_runs` runs on whole images to disk, and `kept_results` shows what came of
each other run and keeps its layers in step with sliders and edits, by `relabelling` in a worker; an `adjustable_result`
is one of them. `rerun` finds the image of a result that is run again, `headline` sums up the selected one, `try_all`
opens the trials, `image_follower` lets the Image box follow the layer list, `target_outline` marks that image,
`image_watch` notices what becomes of it during a run, `panel_drops` takes what is dropped, `remembered_settings`
restores what was chosen in the session before, and `shortcuts` are the keys.
"""
