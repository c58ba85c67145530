"""Foundations for every stage: errors, atomic files, tables, settings and the runtime.

Knows nothing of radiographs.
"""
