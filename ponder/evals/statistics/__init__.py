"""Pure functions on plain numbers: no model, no file, no run."""
