"""Who is in which split, how the set is augmented, its labels, and the packed images that training reads.

In: accepted cases with their corrections. Out: ``plan.csv``, the images of the plan, ``labels.csv``,
``pack-<size>/``.
"""
