"""A model of the job's life, checked two ways.

`expected` says what every script of the ledger answers, and `machine` holds the real scripts to it. `world` runs the
real lifecycle code in virtual time under faults that a seed chooses, and `judge` says what must hold; `mutants` take
one protection away at a time, to show that both notice.
"""
