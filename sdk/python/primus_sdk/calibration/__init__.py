"""A user's own head: examples from use, the fit and its validation, and how the sensors sit."""
