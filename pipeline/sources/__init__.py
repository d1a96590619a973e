"""Where pictures come from: each source yields them one at a time."""
