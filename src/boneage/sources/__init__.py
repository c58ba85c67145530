"""Any source of radiographs to one case table.

In: a folder, an archive, a link or the manifest. Out: ``cases.csv``, one row per radiograph, and
``SKIPPED_TABLE`` with the reason for every file and reading left out.
"""
