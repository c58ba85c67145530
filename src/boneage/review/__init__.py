"""The review of images by a person: the log of decisions on disk, and the board of widgets on top of it.

In: images, anomalies, clicks. Out: ``review.csv``, append-only. The log knows nothing of widgets, the board
nothing of files.
"""
