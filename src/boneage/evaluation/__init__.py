"""What finished runs are worth: metrics, intervals, robustness, heat maps.

In: labels and predictions, joined by id; trained networks. Out: numbers with their intervals, as tables.
"""
