"""From published data sets, and one's own recordings, to the one form that pretraining and evaluation read."""
