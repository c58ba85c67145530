"""Any source of radiographs to one case table.

In: a folder, an archive, a link or the manifest. Out: ``cases.csv``, one row a radiograph with what is
known of it, and a row with the reason for every file and every reading that is left out.
"""
