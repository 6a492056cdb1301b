"""Windows as they come, live or replayed, to recognitions."""
