"""The `Model & Health` section of the dock: what is loaded, where, and how it is doing."""
