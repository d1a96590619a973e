"""Telling others that a batch has ended: addresses of theirs, and commands of this machine.

options   whom, as a command's options say it
post      a signed POST to an address, under the same guards as pictures that are fetched
commands  programs that the local `pixmill.toml` names; the database holds no more than their names
sending   who of them is told now
"""
