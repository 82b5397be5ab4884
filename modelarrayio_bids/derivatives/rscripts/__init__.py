"""R scripts that fit a first model, and the next commands to type.

Belongs here: the model proposed for a cohort, and its script for ModelArray.
Does not: fitting (``models``).
"""
