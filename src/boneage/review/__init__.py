"""What a person decides about each image: the log on disk, and the board of widgets over it.

In: images, anomalies, clicks. Out: ``review.csv``, append-only. The log knows no widgets, the board no
files.
"""
