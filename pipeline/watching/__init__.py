"""Watching folders: what is dropped into them is asked about once it is complete."""
