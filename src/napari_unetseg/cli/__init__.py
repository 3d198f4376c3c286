"""The command line: words of the shell translated into the service's verbs.

`main` collects the commands; each is a function in a module of its name (`segment_command`, `train_command`, ...) whose
docstring is its help. Heavy libraries are loaded when a command runs, so that help answers at once. `inputs` finds the
image files that arguments name, `opening` makes the service that options ask for, `options` and `run_recipe_options`
are options that several commands have, `reporting` turns an error into a line on stderr, and `batch` prints a run over
files. The modules `benchmark_*` belong to the command of that name, and `config_report` to `config_command`.
"""
