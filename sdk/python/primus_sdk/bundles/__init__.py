"""The bundle: an encoder as model files with all that proves them, read and checked."""
