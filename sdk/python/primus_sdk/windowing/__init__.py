"""From samples, at whatever times and in whatever order they come, to windows of 5 s at 50 Hz."""
