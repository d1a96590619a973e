"""Evaluation for people to look at: its page, with the pictures."""
