"""Pretraining as the paper does it (arXiv 2411.15127, section II), its ablations and its baselines."""
