"""Manifests: files that name pictures row by row, with questions, ids and whatever else."""
