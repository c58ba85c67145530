"""The pack keeps images and ids together; an epoch shows every image once."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.dataset.pack import (
    batches_of,
    build_pack,
    fingerprint,
    image_ids,
    open_pack,
    read_image,
    rows_of,
)

IDS = ["3145", "3146", "3147"]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for level, image_id in enumerate(IDS, 1):
        cv2.imwrite(str(folder / f"{image_id}.png"), np.full((64, 64), 10 * level, np.uint8))
    return folder


def labels_of(ids):
    return pd.DataFrame({"Case ID": ids, "Bone Age": np.arange(len(ids), dtype=float)})


def test_images_ids_and_size_are_in_one_file_that_numpy_opens(images, tmp_path):
    path = tmp_path / "pack.npy"
    assert build_pack(IDS, images, 32, path).empty
    plain = np.load(path)
    assert (plain.dtype, plain.shape) == (np.uint8, (3, 32, 32))
    pack = open_pack(path)
    assert pack.ids == tuple(IDS)
    assert pack.size == 32
    assert pack.images[:, 0, 0].tolist() == plain[:, 31, 31].tolist() == [10, 20, 30]
    assert isinstance(pack.images, np.memmap)


def test_a_pack_is_of_the_images_as_they_are_and_of_the_ids_that_are_named(images, tmp_path):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    cv2.imwrite(str(images / "3146.png"), np.full((65, 65), 200, np.uint8))
    build_pack(IDS, images, 32, path)
    assert open_pack(path).images[1, 16, 16] == 200
    build_pack(IDS[:2], images, 32, path)
    assert open_pack(path).ids == tuple(IDS[:2])


def test_missing_and_unreadable_images_are_left_out_with_a_reason(images, tmp_path):
    (images / "3146.png").write_bytes(b"not an image")
    (images / "3147.png").write_bytes(b"")
    cv2.imwrite(str(images / "3148.jpg"), np.full((64, 64), 50, np.uint8))
    path = tmp_path / "pack.npy"
    skipped = build_pack([*IDS, "3148", "3149"], images, 32, path)
    assert sorted(skipped["item"]) == ["3146", "3147", "3149"]
    assert all("preprocess" in reason for reason in skipped["reason"])
    assert open_pack(path).ids == ("3145", "3148")
    assert np.load(path).shape == (2, 32, 32)
    assert sorted(open_pack(path).skipped["item"]) == ["3146", "3147"]


def test_no_image_at_all_is_an_error_and_leaves_no_pack(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(BoneAgeError, match="run preprocess"):
        build_pack(IDS, tmp_path / "images", 32, tmp_path / "pack.npy")
    assert [one.name for one in tmp_path.iterdir()] == ["images"]


def test_an_image_that_is_not_square_is_padded_not_stretched(tmp_path):
    image = np.full((40, 80), 7, np.uint8)
    image[:, 39:41] = 200
    cv2.imwrite(str(tmp_path / "a.png"), image)
    read = read_image(tmp_path / "a.png", 40)
    assert read.shape == (40, 40)
    assert read[0, 20] < 50 < read[20, 20]


@pytest.mark.parametrize("cut", [0, 5, 100, 1000])
def test_a_pack_cut_short_is_refused_by_name(images, tmp_path, cut):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BoneAgeError, match=r"pack\.npy"):
        open_pack(path)


def test_what_is_no_pack_is_refused(tmp_path):
    path = tmp_path / "pack.npy"
    for array in (
        np.zeros((2, 32, 32), np.float32),
        np.zeros((32, 32), np.uint8),
        np.zeros((2, 8, 9), np.uint8),
    ):
        np.save(path, array)
        with pytest.raises(BoneAgeError, match="shape"):
            open_pack(path)
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(BoneAgeError, match=r"pack\.npy"):
        open_pack(path)
    with pytest.raises(BoneAgeError, match="No such file"):
        open_pack(tmp_path / "absent.npy")


def test_labels_meet_their_images_in_any_order(images, tmp_path):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    pack = open_pack(path)
    labels, rows, notices = rows_of(pack, labels_of(["3147", "0000", "3145"]))
    assert labels["Case ID"].tolist() == ["3147", "3145"]
    assert pack.images[rows][:, 0, 0].tolist() == [30, 10]
    assert notices == [
        "1 labels have no image in pack.npy and are left out",
        "1 images in pack.npy have no label and are left out",
    ]
    with pytest.raises(BoneAgeError, match="none of the labels"):
        rows_of(pack, labels_of(["0001"]))


def test_a_pack_without_ids_must_have_a_row_a_label_and_says_so(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 32, 32), np.uint8))
    pack = open_pack(tmp_path / "x.npy")
    assert "order" in rows_of(pack, labels_of(IDS))[2][0]
    with pytest.raises(BoneAgeError, match="carries no ids"):
        rows_of(pack, labels_of(IDS[:2]))


def test_the_fingerprint_changes_with_any_pixel_or_label(images, tmp_path):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    labels = labels_of(IDS)
    first = fingerprint(open_pack(path), labels)
    assert fingerprint(open_pack(path), labels) == first
    assert fingerprint(open_pack(path), labels.assign(**{"Bone Age": [0, 1, 3.0]})) != first
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    assert fingerprint(open_pack(path), labels) != first


@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(count, batch_size, seed, epoch):
    rows = np.arange(100, 100 + count)
    batches = batches_of(rows, batch_size, seed, epoch)
    assert sorted(np.concatenate(batches)) == rows.tolist()
    assert all(len(batch) == batch_size for batch in batches[:-1])
    again = batches_of(rows, batch_size, seed, epoch)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))
    if count > 30:
        other = np.concatenate(batches_of(rows, batch_size, seed, epoch + 1))
        assert not np.array_equal(np.concatenate(batches), other)


@given(st.integers(1, 50), st.integers(1, 40), st.integers(0, 300))
def test_an_epoch_that_repeats_shows_every_image_as_often_as_any_other_or_once_more(count, batch_size, more):
    rows = np.arange(count)
    shown = np.concatenate(batches_of(rows, batch_size, 1, 2, count + more))
    times = np.bincount(shown, minlength=count)
    assert len(shown) == count + more
    assert times.max() - times.min() <= 1
    once = np.concatenate(batches_of(rows, batch_size, 1, 2))
    assert np.array_equal(shown[:count], once)


@pytest.mark.parametrize("damage", [lambda ids: ids[:-9], lambda ids: b"x", lambda ids: ids + b"}"])
def test_a_pack_with_damaged_ids_is_no_pack_without_ids(images, tmp_path, damage):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    whole = path.read_bytes()
    start = whole.index(b"\nBONEAGE IMAGE IDS")
    path.write_bytes(whole[:start] + damage(whole[start:]))
    with pytest.raises(BoneAgeError, match="ids are damaged"):
        open_pack(path)
    build_pack(IDS, images, 32, path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("ids", [["3145"] * 3, [{}, {}, {}], 3])
def test_ids_that_are_doubled_or_no_text_are_damaged(images, tmp_path, ids):
    path = tmp_path / "pack.npy"
    build_pack(IDS, images, 32, path)
    path.write_bytes(path.read_bytes().replace(json.dumps(IDS).encode(), json.dumps(ids).encode()))
    with pytest.raises(BoneAgeError, match="ids are damaged"):
        open_pack(path)


@pytest.mark.parametrize("size", [1, 31, 1025])
def test_a_pack_of_a_size_that_no_network_takes_is_refused(tmp_path, size):
    np.save(tmp_path / "pack.npy", np.zeros((1, size, size), np.uint8))
    with pytest.raises(BoneAgeError, match="between 32 and 1024"):
        open_pack(tmp_path / "pack.npy")


def test_an_id_that_lost_its_zeros_in_a_spreadsheet_still_means_its_image():
    assert image_ids(["12", "7", "0034"], ["0012", "0034", "0099"]) == {"12": "0012", "0034": "0034"}
    # Two labels cannot be of one image, and the exact one has it.
    assert image_ids(["12", "0012"], ["0012"]) == {"0012": "0012"}
    assert image_ids(["12", "012"], ["0012"]) == {}


def test_a_pack_is_made_and_found_by_ids_that_lost_their_zeros(tmp_path):
    for name in ("0012", "0034"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 32), int(name), np.uint8))
    assert build_pack(["34", "12"], tmp_path, 32, tmp_path / "pack.npy").empty
    pack = open_pack(tmp_path / "pack.npy")
    table, rows, notices = rows_of(pack, pd.DataFrame({"Case ID": ["12", "34"]}))
    assert pack.images[rows][:, 0, 0].tolist() == [12, 34]
    assert (table["Case ID"].tolist(), notices) == (["12", "34"], [])
