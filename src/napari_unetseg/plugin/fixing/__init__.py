"""Click to fix: tools that act on the objects of the selected result by its probability map.

`fix_tools` opens the `tool_bar`, whose `tools` have `icons` in the colours of the theme. `gestures` hears clicks and
lines in the viewer, which `drawn_line` shows, whichever layer is active; `aim` finds the pixel meant, or says why
nothing can be fixed there; `fixer` works it out in a worker and gives it to the result.
"""
