"""From a PyTorch checkpoint to a build, by the `convert` extra in a process of its own: nothing here loads torch."""
