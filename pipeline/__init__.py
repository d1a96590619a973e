"""Pixmill: captions for pictures and answers about them, in bulk, on OpenVINO."""

__version__ = "0.1.0"
