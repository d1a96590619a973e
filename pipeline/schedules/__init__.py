"""Schedules: commands that a clock starts, stored as what they were parsed to.

order      a command with what it was given: parsed when it is added, performed when it is due
doubts     what would make it fail right now
rule       when it is due
tending    any program that stays: it begins what is due, each in a process of its own
sight      whether the files are seen from there
firing     that process
repeating  what is done every second, or every few
"""
