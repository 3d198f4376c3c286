"""The section Model & Health of the dock widget.

`health_controller` asks the service how it is, in workers, one question at a time and only while the section can be
seen. `health_section` decides what the light says, `health_texts` turns a report into words and parts of bars without a
window, and `health_panel`, `card_rows`, `drawing` and `last_error` show them.
"""
