"""Files that ask for models: TOML with formulas, or the dataset level of BIDS Stats Models.

Belongs here: reading and checking such files, and saying in R's words what they ask for.
Does not: what a formula means, and fitting.
"""
