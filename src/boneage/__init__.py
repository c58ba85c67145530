"""Bone age from hand radiographs: from an atlas to nine trained networks and two tables.

Research software, not a medical device.
"""

__version__ = "0.2.0"
