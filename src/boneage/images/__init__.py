"""Any file of a radiograph to a grey square, and what can be done to it.

In: JPEG, PNG, TIFF, BMP or DICOM files. Out: ``images/<case id>.png``, uint8, and ``preprocess.csv``,
which says what came in.
"""
