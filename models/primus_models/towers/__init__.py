"""Frozen text and video towers, whose embeddings pretraining aligns an IMU encoder with."""
