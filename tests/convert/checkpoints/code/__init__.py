"""The modelling code that three of the families keep in the checkpoint itself, one file for each.

Each file is copied into its checkpoints and loaded from there with `trust_remote_code`, so it imports nothing of
this repository. What is here was written from what the exporter and the engine touch: names of sub-models and of
settings, shapes of inputs and outputs. Pictures are taken in the one size that needs no resizing.
"""
