"""Bone age with OpenCV and ONNX Runtime alone: python onnx_estimate.py EXPORT_FOLDER HAND.jpg [F or M]"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def square(image, size, bars):
    scale = size / max(image.shape)
    width, height = (max(1, round(side * scale)) for side in image.shape[::-1])
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    deep = max(1, min(image.shape) // bars)
    strips = (image[:deep], image[-deep:], image[:, :deep], image[:, -deep:])
    levels = np.sort(np.concatenate([strip.ravel() for strip in strips]))
    canvas = np.full((size, size), levels[(len(levels) - 1) // 2])
    top, left = (size - height) // 2, (size - width) // 2
    canvas[top : top + height, left : left + width] = image
    return canvas


folder, file, *sex = sys.argv[1:]
about = json.loads(Path(folder, "network.json").read_text())
image = cv2.imread(file, cv2.IMREAD_GRAYSCALE)
for size in (about["image"]["through"], about["image"]["size"]):
    image = square(image, size, about["image"]["bars"])
given = [{"image": image[np.newaxis, ..., np.newaxis].astype(np.float32)}]
if about["sex"]:
    given = [given[0] | {"male": np.float32([[about["sex"][one]]])} for one in sex or ("F", "M")]
network = onnxruntime.InferenceSession(Path(folder, "model.onnx"))
years = np.mean([network.run(None, one)[0] for one in given])
print(f"{np.clip(years, *about['output']['range']):.2f} years")
