"""The encoder: its graph and checkpoints (no PyTorch needed), and its training (which needs the `train` extra)."""
