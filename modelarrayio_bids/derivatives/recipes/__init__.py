"""Recipes: the scalars among the files of a pipeline, and their names.

Belongs here: reading and checking ``data/recipes/*.yaml``, and a user's own.
Does not: knowledge about one pipeline, which is data.
"""
