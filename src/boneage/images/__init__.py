"""Radiograph files to square grey images, and the operators on them.

In: JPEG, PNG, TIFF, BMP, WebP or DICOM files. Out: ``images/<case id>.png``, uint8, and the report
``preprocess.csv``.
"""
