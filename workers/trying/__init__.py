"""Trying: a few pictures of an input asked now, to look at the answers before all of them are asked.

They are asked in the way that `pixmill run` asks: the same jobs, which it finds done.
"""
