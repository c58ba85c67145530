"""What every stage stands on: one error, files that are never half written, tables, settings, the runtime.

Knows nothing of radiographs. In: paths and values from anywhere. Out: checked values, or a
`BoneAgeError` of one line.
"""
