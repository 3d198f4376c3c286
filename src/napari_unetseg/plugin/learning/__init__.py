"""Learn from what the user corrects, and train new models: the dock and its two tabs.

`learning_dock` opens the dock once; `learning_panel` is its widget. The tab "Improve" is `improving` with
`improve_form`, its `labels_list` and `regions`; "Train a new model" is `training_anew` with `train_form`, `check_table`
and `data_look`. `labelled_planes` finds what can be learnt from, and `viewer_watch` tells when that changed.

`training_request` puts what is asked for on disk as a job, in a worker. `training_run` follows its process, `run_shown`
says what comes of it in `run_view` (with `training_curve`) and `preview_layer`, and `interrupted_row` offers to go on
with what was interrupted. `learning_words` are the sentences.
"""
