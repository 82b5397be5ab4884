"""Recipes: which files of a pipeline are scalars, and what they are called.

Belongs here: reading and checking ``data/recipes/*.yaml``, and a user's own.
Does not: knowledge about one pipeline, which is data.
"""
