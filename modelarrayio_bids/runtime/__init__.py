"""The machinery of a run: memory, threads, disk, signals, progress, logs, atomic and remote files.

Belongs here: what any program needs that runs for hours on a shared machine.
Does not: anything that knows of images, elements, tables or HDF5.
"""
