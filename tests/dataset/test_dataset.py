"""The pack keeps images and ids together; an epoch shows every image once."""

import json
import shutil
import time

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boneage.core.errors import BoneAgeError
from boneage.dataset import pack as packing
from boneage.dataset import shards
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


def test_a_pack_is_a_folder_of_arrays_that_numpy_opens(images, tmp_path):
    path = tmp_path / "pack"
    assert build_pack(IDS, images, 32, path).empty
    plain = np.concatenate([np.load(file) for file in sorted(path.glob("*.npy"))])
    assert (plain.dtype, plain.shape) == (np.uint8, (3, 32, 32))
    pack = open_pack(path)
    assert pack.ids == tuple(IDS)
    assert pack.size == 32
    assert pack.images[:][:, 0, 0].tolist() == plain[:, 31, 31].tolist() == [10, 20, 30]
    assert (pack.images[[2, 0, 2]] == plain[[2, 0, 2]]).all()
    assert (pack.images[-1] == plain[-1]).all()
    assert pack.images[:0].shape == (0, 32, 32)


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Packs of the same 50 images, in a single shard and in shards of seven; only three stay open."""
    folder, rng, packs = tmp_path / "many", np.random.default_rng(1), []
    folder.mkdir()
    ids = [f"{number:04d}" for number in range(50)]
    for image_id in ids:
        cv2.imwrite(str(folder / f"{image_id}.png"), rng.integers(0, 256, (32, 32), np.uint8))
    monkeypatch.setattr(shards, "_MOST_OPEN", 3)
    for count in (50, 7):
        monkeypatch.setattr(shards, "_LARGEST_BYTES", count * 32**2)
        monkeypatch.setattr(shards, "_LEAST_SHARDS", 1)
        build_pack(ids, folder, 32, tmp_path / f"of-{count}")
        packs.append(open_pack(tmp_path / f"of-{count}"))
    return packs


def test_one_shard_and_many_give_the_same_batches(many):
    one, several = many
    assert [len(list(pack.path.glob("*.npy"))) for pack in many] == [1, 8]
    assert one.ids == several.ids
    labels = labels_of(one.ids)
    assert fingerprint(one, labels) == fingerprint(several, labels)
    for epoch in range(3):
        for rows in batches_of(np.arange(50), 8, 5, epoch):
            np.testing.assert_array_equal(one.images[rows], several.images[rows])


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_shards_are_indexed_as_one_array(many, data):
    plain = np.load(many[0].path / "00000.npy")
    some = st.lists(st.integers(-50, 49), max_size=20).map(lambda rows: np.array(rows, int))
    masks = st.lists(st.booleans(), min_size=50, max_size=50).map(np.array)
    rows = data.draw(st.one_of(st.integers(-50, 49), st.slices(50), some, masks))
    np.testing.assert_array_equal(many[1].images[rows], plain[rows])


def test_a_row_that_is_not_there_is_refused(many):
    with pytest.raises(IndexError):
        many[1].images[50]


def test_a_missing_shard_is_named_even_after_the_pack_was_opened(many):
    several = many[1]
    (several.path / "00004.npy").unlink()
    assert several.images[27].shape == (32, 32)
    with pytest.raises(BoneAgeError, match=r"00004\.npy: No such file.*boneage pack"):
        several.images[28]
    with pytest.raises(BoneAgeError, match=r"00004\.npy: No such file"):
        open_pack(several.path)


def test_a_shard_of_other_images_is_refused(many):
    path = many[1].path
    shutil.copy(path / "00000.npy", path / "00007.npy")
    with pytest.raises(BoneAgeError, match=r"00007\.npy: shape \(7, 32, 32\) instead of \(1, 32, 32\)"):
        open_pack(path)


def test_a_pack_that_was_stopped_goes_on_where_it_stood(images, tmp_path, monkeypatch):
    path, begun = tmp_path / "pack", []
    whole = build_pack(IDS, images, 32, tmp_path / "whole")
    made = packing._made_shard

    def stopped(file, *arguments):
        if file.stem == "00002":
            time.sleep(0.5)
            raise BoneAgeError("no more")
        return made(file, *arguments)

    monkeypatch.setattr(packing, "_made_shard", stopped)
    with pytest.raises(BoneAgeError, match="no more"):
        build_pack(IDS, images, 32, path)
    with pytest.raises(BoneAgeError, match="of its shards are not made yet"):
        open_pack(path)
    monkeypatch.setattr(packing, "_made_shard", lambda file, *of: begun.append(file.stem) or made(file, *of))
    pd.testing.assert_frame_equal(build_pack(IDS, images, 32, path), whole)
    assert begun == ["00002"]
    for file in (tmp_path / "whole").iterdir():
        assert (path / file.name).read_bytes() == file.read_bytes()


def test_a_pack_is_of_the_images_as_they_are_and_of_the_ids_that_are_named(images, tmp_path):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    cv2.imwrite(str(images / "3146.png"), np.full((65, 65), 200, np.uint8))
    build_pack(IDS, images, 32, path)
    assert open_pack(path).images[1][16, 16] == 200
    build_pack(IDS[:2], images, 32, path)
    assert open_pack(path).ids == tuple(IDS[:2])
    assert len(list(path.glob("*.npy"))) == 2


def test_missing_and_unreadable_images_are_left_out_with_a_reason(images, tmp_path):
    (images / "3146.png").write_bytes(b"not an image")
    (images / "3147.png").write_bytes(b"")
    cv2.imwrite(str(images / "3148.jpg"), np.full((64, 64), 50, np.uint8))
    path = tmp_path / "pack"
    skipped = build_pack([*IDS, "3148", "3149"], images, 32, path)
    assert sorted(skipped["item"]) == ["3146", "3147", "3149"]
    assert all("preprocess" in reason for reason in skipped["reason"])
    pack = open_pack(path)
    assert pack.ids == ("3145", "3148")
    assert pack.images[:][:, 0, 0].tolist() == [10, 50]
    assert sorted(pack.skipped["item"]) == ["3146", "3147"]
    cv2.imwrite(str(images / "3147.png"), np.full((64, 64), 70, np.uint8))
    assert sorted(build_pack([*IDS, "3148"], images, 32, path)["item"]) == ["3146"]
    assert open_pack(path).ids == ("3145", "3147", "3148")


def test_a_pack_of_which_no_image_can_be_read_is_none(images, tmp_path):
    for image_id in IDS:
        (images / f"{image_id}.png").write_bytes(b"not an image")
    with pytest.raises(BoneAgeError, match="none of its 3 images can be read"):
        build_pack(IDS, images, 32, tmp_path / "pack")
    with pytest.raises(BoneAgeError, match="lists no image"):
        open_pack(tmp_path / "pack")


def test_no_image_at_all_is_an_error_and_leaves_no_pack(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(BoneAgeError, match="run preprocess"):
        build_pack(IDS, tmp_path / "images", 32, tmp_path / "pack")
    assert [one.name for one in tmp_path.iterdir()] == ["images"]


def test_an_image_that_is_not_square_is_padded_not_stretched(tmp_path):
    image = np.full((40, 80), 7, np.uint8)
    image[:, 39:41] = 200
    cv2.imwrite(str(tmp_path / "a.png"), image)
    read = read_image(tmp_path / "a.png", 40)
    assert read.shape == (40, 40)
    assert read[0, 20] < 50 < read[20, 20]


@pytest.mark.parametrize("cut", [0, 5, 100, 1000])
def test_a_shard_cut_short_is_refused_by_name(images, tmp_path, cut):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    whole = (path / "00001.npy").read_bytes()
    (path / "00001.npy").write_bytes(whole[:cut])
    with pytest.raises(BoneAgeError, match=r"00001\.npy"):
        open_pack(path)
    build_pack(IDS, images, 32, path)
    assert (path / "00001.npy").read_bytes() == whole


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 32, 32), np.float32), "8-bit"),
        (np.zeros((32, 32), np.uint8), "shape"),
        (np.zeros((1, 8, 9), np.uint8), "shape"),
        (np.zeros((2, 32, 32), np.uint8), "shape"),
        (np.asfortranarray(np.zeros((2, 32, 32), np.uint8)), "8-bit"),
        (np.array([{"a": 1}]), "not a whole"),
    ],
)
def test_what_is_no_shard_is_refused(images, tmp_path, array, words):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    np.save(path / "00001.npy", array, allow_pickle=True)
    with pytest.raises(BoneAgeError, match=rf"00001\.npy: .*{words}"):
        open_pack(path)


def test_what_is_no_pack_is_refused(images, tmp_path):
    for place in (tmp_path / "absent", images, images / "3145.png"):
        with pytest.raises(BoneAgeError, match=r"index\.json: (No such file|Not a directory)"):
            open_pack(place)


def test_labels_meet_their_images_in_any_order(images, tmp_path):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    pack = open_pack(path)
    labels, rows, notices = rows_of(pack, labels_of(["3147", "0000", "3145"]))
    assert labels["Case ID"].tolist() == ["3147", "3145"]
    assert pack.images[rows][:, 0, 0].tolist() == [30, 10]
    assert notices == [
        "1 labels have no image in pack and are left out",
        "1 images in pack have no label and are left out",
    ]
    with pytest.raises(BoneAgeError, match="none of the labels"):
        rows_of(pack, labels_of(["0001"]))


def test_the_fingerprint_changes_with_any_pixel_or_label(images, tmp_path):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    labels = labels_of(IDS)
    first = fingerprint(open_pack(path), labels)
    assert fingerprint(open_pack(path), labels) == first
    assert fingerprint(open_pack(path), labels.assign(**{"Bone Age": [0, 1, 3.0]})) != first
    data = bytearray((path / "00001.npy").read_bytes())
    data[-1] ^= 1
    (path / "00001.npy").write_bytes(data)
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


@pytest.mark.parametrize("damage", [lambda index: index[:-9], lambda index: b"x", lambda index: index + b"}"])
def test_a_pack_with_a_damaged_index_is_none(images, tmp_path, damage):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    index = path / "index.json"
    whole = index.read_bytes()
    index.write_bytes(damage(whole))
    with pytest.raises(BoneAgeError, match=r"index\.json: damaged"):
        open_pack(path)
    build_pack(IDS, images, 32, path)
    assert index.read_bytes() == whole


@pytest.mark.parametrize("ids", [["3145"], [{}], 3])
def test_ids_that_are_doubled_or_no_text_are_refused(images, tmp_path, ids):
    path = tmp_path / "pack"
    build_pack(IDS, images, 32, path)
    index = path / "index.json"
    index.write_text(index.read_text().replace('["3146"]', json.dumps(ids)))
    with pytest.raises(BoneAgeError, match=r"index\.json: (damaged|has an image twice)"):
        open_pack(path)


@pytest.mark.parametrize("size", [1, 31, 1025])
def test_a_pack_of_a_size_that_no_network_takes_is_refused(images, tmp_path, size):
    build_pack(IDS, images, size, tmp_path / "pack")
    with pytest.raises(BoneAgeError, match="between 32 and 1024"):
        open_pack(tmp_path / "pack")


def test_an_id_that_lost_its_zeros_in_a_spreadsheet_still_means_its_image():
    assert image_ids(["12", "7", "0034"], ["0012", "0034", "0099"]) == {"12": "0012", "0034": "0034"}
    # Two labels cannot be of one image, and the exact one has it.
    assert image_ids(["12", "0012"], ["0012"]) == {"0012": "0012"}
    assert image_ids(["12", "012"], ["0012"]) == {}


def test_a_pack_is_made_and_found_by_ids_that_lost_their_zeros(tmp_path):
    for name in ("0012", "0034"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((32, 32), int(name), np.uint8))
    assert build_pack(["34", "12"], tmp_path, 32, tmp_path / "pack").empty
    pack = open_pack(tmp_path / "pack")
    table, rows, notices = rows_of(pack, pd.DataFrame({"Case ID": ["12", "34"]}))
    assert pack.images[rows][:, 0, 0].tolist() == [12, 34]
    assert (table["Case ID"].tolist(), notices) == (["12", "34"], [])
