"""How fast, and in how much memory: whole processes of this package and of its predecessor.

``python tests/benchmarks --list`` names the cases; without names the small ones run, in about ten
minutes. Each module is one step:

=========  ==========================================================================
cases      the table of what is measured and what is promised, as data
data       the cohorts, made once and kept
peer       the predecessor, in an environment of its own
launch     one process: its time and its memory
measure    several programs in turn, and their medians
floor      the least that the work could take on this machine
compare    whether two outputs hold the same values, bit for bit
tasks      what is run for each sort of case
report     rows of the result, as a table and as JSON
=========  ==========================================================================
"""
