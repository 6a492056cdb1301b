"""From a checkpoint to a bundle of model files, each proven equal to the reference. Needs no PyTorch."""
