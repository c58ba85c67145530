"""Drawn hands: a source like the others, in the Digital Hand Atlas's own tree.

In: age, sex, a seed. Out: drawn radiographs after published ages of ossification, with simulated readings.
"""
