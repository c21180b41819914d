"""The rules of intake. No I/O, no clock: data, dates and ids come in as arguments.

questions   the six questions as data           answers   from what was typed to codes, or what to correct
triage      rules that are data -> a verdict    offer     answers -> the command, and what only the vault may hold
donation    the aggregate                       chain     what the other services tell of a donation
story       all of it as its donor reads it
"""
