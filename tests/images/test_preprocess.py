"""Any image becomes a grey square, a bad one a row with a reason; a second run does only what is new."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import BAD, JPEG, PNG, a_hand, encoded, encoded_16_bit

from boneage.core import files, parallel
from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_table
from boneage.images import preprocess as module
from boneage.images import sheets
from boneage.images.preprocess import REPORT_TABLE, preprocess, read_report, summary
from boneage.images.reading import read_grey
from boneage.images.sheets import contact_sheet, write_contact_sheet
from boneage.images.square import square

SIZE = 64


class TestSquare:
    @given(
        st.integers(32, 700),
        st.integers(32, 700),
        st.integers(32, 300),
        st.sampled_from(["background", "black", "white"]),
    )
    @settings(max_examples=80, deadline=None)
    def test_any_shape_keeps_its_aspect_in_the_middle(
        self, height: int, width: int, size: int, pad: str
    ) -> None:
        fitted = square(np.full((height, width), 128, np.uint8), size, pad)
        assert fitted.shape == (size, size)
        assert fitted.dtype == np.uint8
        if pad == "background":
            assert (fitted == 128).all()
            return
        rows, columns = np.nonzero(fitted == 128)
        tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(tall, wide) == size
        assert abs(tall / size - height / max(height, width)) <= 0.5 / size + 1e-9
        assert abs(wide / size - width / max(height, width)) <= 0.5 / size + 1e-9
        for first, last in ((rows.min(), rows.max()), (columns.min(), columns.max())):
            assert abs(first - (size - 1 - last)) <= 1

    @pytest.mark.parametrize("shape", [(32, 5000), (5000, 32)])
    def test_a_strip_is_no_trouble(self, shape: tuple[int, int]) -> None:
        assert square(np.full(shape, 9, np.uint8), 64).shape == (64, 64)

    def test_the_bars_take_the_background_not_the_rim_nor_the_hand(self) -> None:
        image = np.full((400, 200), 30, np.uint8)
        image[:4] = image[-4:] = image[:, :4] = image[:, -4:] = 255  # The bright line of a collimator.
        image[100:, 60:140] = 200  # The hand, its forearm across the lower edge.
        fitted = square(image, 200)
        assert set(np.unique(fitted[:, :49])) == {30}
        assert set(np.unique(fitted[:, 151:])) == {30}

    def test_it_averages_down_and_is_smooth_up(self) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (256, 256)).astype(np.uint8)
        means = noise.reshape(64, 4, 64, 4).mean(axis=(1, 3))
        assert np.abs(square(noise, 64) - means).max() <= 1
        ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
        assert np.abs(np.diff(square(ramp, 128)[64].astype(int))).max() <= 4


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def cases(tmp_path: Path) -> pd.DataFrame:
    """Six good images of all kinds in a folder beside the work folder."""
    source = tmp_path / "source"
    source.mkdir()
    data = {
        "a": encoded(a_hand(seed=1), "JPEG"),
        "b": encoded(a_hand(120, 90, seed=2)),
        "c": encoded_16_bit(a_hand(seed=3).astype(np.uint16) * 16),
        "d": encoded(np.dstack([a_hand(seed=4)] * 3), "JPEG"),
        "e": encoded(a_hand(40, 200, seed=5)),
        "f": encoded(a_hand(seed=6), "JPEG"),
    }
    for name, content in data.items():
        (source / name).write_bytes(content)
    return pd.DataFrame(
        {
            "case_id": list(data),
            "image": [str(source / name) for name in data],
            "bone_age": [0.5, 3, 7.25, 11, 15, ""],
            "age_group": ["0", "3", "7", "11", "15", "18"],
        }
    )


def image_of(work: Path, case_id: str) -> Path:
    return work / "images" / f"{case_id}.png"


def times(work: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (work / "images").iterdir()}


class TestPreprocess:
    def test_every_good_case_becomes_a_square_and_a_row(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        assert list(report.columns) == list(REPORT_TABLE)
        assert list(report["case_id"]) == list(cases["case_id"])
        assert set(report["status"]) == {"ok"}
        for case_id in cases["case_id"]:
            image = cv2.imread(str(image_of(work, case_id)), cv2.IMREAD_UNCHANGED)
            assert image.shape == (SIZE, SIZE)
            assert image.dtype == np.uint8
        row = report.set_index("case_id").loc["c"]
        assert (row["format"], row["width"], row["height"], row["bit_depth"]) == ("PNG", 64, 96, 16)
        assert row["sha256"] == files.sha256_of(cases["image"][2])
        assert row["bytes"] == os.path.getsize(cases["image"][2])
        assert len(read_table(work / "skipped-preprocess.csv", ("item", "reason"))) == 0

    def test_the_report_reads_back_as_it_was_returned(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        pd.testing.assert_frame_equal(read_report(work), report, check_dtype=False)

    def test_bad_images_become_rows_and_the_rest_goes_on(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path
    ) -> None:
        rows = []
        for index, (name, (data, _)) in enumerate(BAD.items()):
            (tmp_path / name).write_bytes(data)
            rows.append({"case_id": f"bad-{index}", "image": str(tmp_path / name)})
        report = preprocess(pd.concat([pd.DataFrame(rows), cases], ignore_index=True), work, SIZE)
        assert list(report["status"]) == ["skipped"] * len(BAD) + ["ok"] * len(cases)
        skipped = read_table(work / "skipped-preprocess.csv", ("item", "reason"))
        assert list(skipped["item"]) == [row["case_id"] for row in rows]
        for reason, name in zip(skipped["reason"], BAD, strict=True):
            assert name in reason
        assert sorted(times(work)) == [f"{case_id}.png" for case_id in "abcdef"]

    @pytest.mark.parametrize(
        ("case_id", "image", "reason"),
        [
            ("g", "nowhere.jpg", "no such file"),
            ("g", "", "names no image"),
            ("g", float("nan"), "names no image"),
            ("g", ".", "not a file"),
            ("g", "nul\0byte.jpg", "cannot be read"),
            ("../g", "nowhere.jpg", "cannot name a file"),
            ("g/h", "nowhere.jpg", "cannot name a file"),
            ("", "nowhere.jpg", "cannot name a file"),
            ("=1+1", "nowhere.jpg", "cannot name a file"),
            (float("nan"), "nowhere.jpg", "cannot name a file"),
        ],
    )
    def test_a_bad_row_of_the_case_table_is_skipped(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path, case_id: object, image: object, reason: str
    ) -> None:
        cases.loc[len(cases), ["case_id", "image"]] = [case_id, image]
        report = preprocess(cases, work, SIZE)
        assert list(report["status"]) == ["ok"] * 6 + ["skipped"]
        assert reason in report["reason"].iloc[-1]
        assert sorted(times(work)) == [f"{name}.png" for name in "abcdef"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "work"]

    def test_a_pipe_does_not_hang_the_run(self, cases: pd.DataFrame, work: Path, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        cases.loc[0, "image"] = str(tmp_path / "pipe.jpg")
        assert "not a file" in preprocess(cases, work, SIZE)["reason"][0]

    def test_two_images_with_one_id_are_both_left_out(self, cases: pd.DataFrame, work: Path) -> None:
        cases.loc[[1, 2], "case_id"] = ["A", "c"]
        report = preprocess(cases, work, SIZE)
        assert list(report["status"]) == ["skipped", "skipped", "ok", "ok", "ok", "ok"]
        assert "two images" in report["reason"][0]

    def test_a_path_may_be_relative_to_the_work_folder(self, cases: pd.DataFrame, work: Path) -> None:
        cases["image"] = [os.path.relpath(path, work) for path in cases["image"]]
        assert set(preprocess(cases, work, SIZE)["status"]) == {"ok"}

    def test_the_same_bytes_twice_are_reported(self, cases: pd.DataFrame, work: Path) -> None:
        for name in ("c", "e"):
            Path(cases["image"][0]).with_name(name).write_bytes(Path(cases["image"][1]).read_bytes())
        report = preprocess(cases, work, SIZE)
        assert list(report["doubled_of"]) == ["", "", "b", "", "b", ""]
        assert set(report["status"]) == {"ok"}

    def test_an_image_inside_the_output_folder_is_not_overwritten(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        image_of(work, "a").parent.mkdir(parents=True)
        image_of(work, "a").write_bytes(PNG)
        cases.loc[0, "image"] = "images/a.png"
        assert "is in the folder" in preprocess(cases, work, SIZE)["reason"][0]
        assert image_of(work, "a").read_bytes() == PNG

    def test_an_empty_table_gives_an_empty_report(self, work: Path) -> None:
        assert len(preprocess(pd.DataFrame({"case_id": [], "image": []}), work, SIZE)) == 0
        assert len(read_report(work)) == 0

    def test_a_missing_column_and_an_unknown_level_are_named(self, cases: pd.DataFrame, work: Path) -> None:
        with pytest.raises(BoneAgeError, match="column image is missing"):
            preprocess(cases.drop(columns="image"), work, SIZE)
        with pytest.raises(BoneAgeError, match="'grey' must be one of"):
            preprocess(cases, work, SIZE, "grey")

    def test_a_number_in_the_report_that_no_run_writes_has_its_image_made_again(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        first = preprocess(cases, work, SIZE)
        rows = pd.read_csv(work / "preprocess.csv", dtype=str)
        ok = rows.index[rows["status"] == "ok"]
        rows.loc[ok[0], "bytes"], rows.loc[ok[1], "modified"] = "12.5", "1e30"
        rows.to_csv(work / "preprocess.csv", index=False)
        assert read_report(work)["bytes"].isna()[ok[0]]
        pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)

    def test_opencv_keeps_its_threads(self, cases: pd.DataFrame, work: Path) -> None:
        before = cv2.getNumThreads()
        preprocess(cases, work, SIZE)
        assert cv2.getNumThreads() == before


class TestSecondRun:
    def test_nothing_is_made_again(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        before = times(work)
        second = preprocess(cases, work, SIZE)
        assert times(work) == before
        pd.testing.assert_frame_equal(first, second, check_dtype=False)

    @pytest.mark.parametrize("start", ["+", "-", "@", "=", "'", "＝"])
    def test_nothing_is_made_again_where_tables_defuse_a_path(
        self, cases: pd.DataFrame, work: Path, start: str
    ) -> None:
        work.mkdir()
        for name, path in zip(cases["case_id"], cases["image"], strict=True):
            Path(path).rename(work / f"{start}{name}")
        cases["image"] = start + cases["case_id"]
        first = preprocess(cases, work, SIZE)
        assert set(first["status"]) == {"ok"}
        before = times(work)
        for _ in range(2):
            pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)
            assert times(work) == before

    def test_nothing_is_made_again_beside_an_image_that_cannot_be_read(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        Path(cases["image"][1]).write_bytes(b"")
        preprocess(cases, work, SIZE)
        before = times(work)
        preprocess(cases, work, SIZE)
        assert times(work) == before

    def test_only_what_is_new_changed_or_gone_is_made(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases.iloc[:5], work, SIZE)
        before = times(work)
        Path(cases["image"][0]).write_bytes(encoded(a_hand(70, 70, seed=9)))
        os.utime(cases["image"][1], ns=(1, 1))
        image_of(work, "c").unlink()
        image_of(work, "d").write_bytes(b"")
        report = preprocess(cases, work, SIZE)
        after = times(work)
        assert {name for name in after if after[name] != before.get(name)} == {
            f"{name}.png" for name in "abcdf"
        }
        assert set(report["status"]) == {"ok"}
        assert report["width"][0] == 70
        assert image_of(work, "d").stat().st_size > 0

    def test_another_size_or_level_makes_all_again(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases, work, SIZE)
        preprocess(cases, work, 48)
        assert cv2.imread(str(image_of(work, "a")), 0).shape == (48, 48)
        preprocess(cases, work, 48, "white")
        assert cv2.imread(str(image_of(work, "a")), 0)[0, 0] == 255

    def test_what_was_made_stays_good_without_its_source(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases, work, SIZE)
        before = times(work)
        for path in cases["image"]:
            os.unlink(path)
        report = preprocess(cases, work, 48)
        assert set(report["status"]) == {"ok"}
        assert report["note"].str.contains("source not found now").all()
        assert times(work) == before

    def test_paths_that_another_encoding_broke_cost_nothing(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        before = times(work)
        broken = cases.assign(image=[path.replace("source", "sourcé") for path in cases["image"]])
        report = preprocess(broken, work, SIZE)
        assert set(report["status"]) == {"ok"}
        assert times(work) == before
        pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)
        assert times(work) == before

    def test_a_case_that_comes_back_has_its_image_again(self, cases: pd.DataFrame, work: Path) -> None:
        preprocess(cases, work, SIZE)
        before = times(work)
        preprocess(cases.assign(case_id=[f"wrong{row}" for row in range(len(cases))]), work, SIZE)
        preprocess(cases.iloc[:2], work, SIZE)
        for path in cases["image"]:
            os.unlink(path)
        report = preprocess(cases, work, SIZE)
        assert set(report["status"]) == {"ok"}
        assert before.items() <= times(work).items()

    def test_the_output_of_a_refused_image_is_removed_and_nothing_else(
        self, cases: pd.DataFrame, work: Path
    ) -> None:
        preprocess(cases, work, SIZE)
        (work / "images" / "mine.png").write_bytes(PNG)
        Path(cases["image"][0]).write_bytes(JPEG[:500])
        report = preprocess(cases.iloc[:4], work, SIZE)
        assert list(report["status"]) == ["skipped", "ok", "ok", "ok"]
        assert sorted(times(work)) == ["b.png", "c.png", "d.png", "e.png", "f.png", "mine.png"]

    def test_an_image_put_right_is_made(self, cases: pd.DataFrame, work: Path) -> None:
        good = Path(cases["image"][0]).read_bytes()
        Path(cases["image"][0]).write_bytes(b"")
        assert preprocess(cases, work, SIZE)["status"][0] == "skipped"
        Path(cases["image"][0]).write_bytes(good)
        assert preprocess(cases, work, SIZE)["status"][0] == "ok"

    def test_a_damaged_report_is_made_afresh(self, cases: pd.DataFrame, work: Path) -> None:
        first = preprocess(cases, work, SIZE)
        (work / "preprocess.csv").write_bytes(b"\xff\xfe\x00")
        pd.testing.assert_frame_equal(preprocess(cases, work, SIZE), first, check_dtype=False)


class TestInterrupted:
    def interrupt_after(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        made = parallel.on_all_cores

        def interrupted(*arguments: object, **words: object) -> object:
            for index, result in enumerate(made(*arguments, **words)):
                if index == count:
                    raise KeyboardInterrupt
                yield result

        monkeypatch.setattr(parallel, "on_all_cores", interrupted)

    def test_it_goes_on_where_it_was(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            self.interrupt_after(patch, 3)
            with pytest.raises(KeyboardInterrupt):
                preprocess(cases, work, SIZE)
        done = read_report(work)
        assert len(done) == 3
        before = times(work)
        report = preprocess(cases, work, SIZE)
        assert set(report["status"]) == {"ok"}
        assert list(report["case_id"]) == list(cases["case_id"])
        after = times(work)
        for case_id in done["case_id"]:
            assert after[f"{case_id}.png"] == before[f"{case_id}.png"]

    def test_a_killed_process_leaves_nothing_that_the_next_run_cannot_use(
        self, cases: pd.DataFrame, work: Path, tmp_path: Path
    ) -> None:
        many = pd.concat(
            [cases.assign(case_id=cases["case_id"] + str(copy)) for copy in range(60)], ignore_index=True
        )
        many.to_csv(tmp_path / "many.csv", index=False)
        program = (
            "import sys, pandas; from boneage.images import preprocess;"
            "from boneage.core import parallel; parallel.SECONDS_BETWEEN_SAVES = 0.05;"
            "preprocess.preprocess(pandas.read_csv(sys.argv[1], dtype=str), sys.argv[2], 512)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "many.csv", work],
            env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[2])},
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and len(list(work.glob("images/*.png"))) < 40:
            time.sleep(0.005)
        process.kill()
        process.wait()
        listed = set(read_report(work)["case_id"])
        assert len(listed) < len(many)
        before = times(work)
        report = preprocess(many, work, 512)
        assert set(report["status"]) == {"ok"}
        assert len(report) == len(many)
        assert all(times(work)[f"{case_id}.png"] == before[f"{case_id}.png"] for case_id in listed)
        for case_id in many["case_id"]:
            assert cv2.imread(str(image_of(work, case_id)), 0).shape == (512, 512)

    def test_a_kill_amid_a_change_of_size_leaves_no_mixture(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preprocess(cases, work, SIZE)
        saves = []

        def save_once(path: Path, rows: list) -> object:
            if saves:
                raise SystemExit  # Killed: no report is saved after the first image.
            saves.append(path)
            return save(path, rows)

        save = module._save
        with monkeypatch.context() as patch:
            patch.setattr(module, "_save", save_once)
            with pytest.raises(SystemExit):
                preprocess(cases, work, 48)
        preprocess(cases, work, SIZE)
        assert {cv2.imread(str(image_of(work, case_id)), 0).shape for case_id in "abcdef"} == {(SIZE, SIZE)}

    def test_the_report_is_saved_on_the_way(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lengths = []
        save = module._save
        monkeypatch.setattr(parallel, "SECONDS_BETWEEN_SAVES", 0.0)
        # However long it took to write the last one.
        monkeypatch.setattr(parallel, "_TIMES_A_SAVE", 0.0)
        monkeypatch.setattr(
            module, "_save", lambda path, rows: lengths.append(sum(map(bool, rows))) or save(path, rows)
        )
        preprocess(cases, work, SIZE)
        assert lengths == [0, 1, 2, 3, 4, 5, 6, 6]

    def test_what_a_killed_run_left_half_written_is_removed(self, cases: pd.DataFrame, work: Path) -> None:
        old, young = work / "images" / ".a-abcd_123.png", work / "images" / ".b-abcd_123.png"
        old.parent.mkdir(parents=True)
        for path in (old, young):
            path.write_bytes(b"half")
        os.utime(old, (time.time() - 3600,) * 2)
        preprocess(cases, work, SIZE)
        assert not old.exists()
        assert young.exists()


class TestDisk:
    def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replace, lock, made = os.replace, threading.Lock(), []

        def full_after_two(source: str, target: str) -> None:
            with lock:
                if str(target).endswith(".png"):
                    if len(made) == 2:
                        raise OSError(errno.ENOSPC, "No space left on device")
                    made.append(target)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", full_after_two)
            with pytest.raises(BoneAgeError, match="disk is full"):
                preprocess(cases, work, SIZE)
        assert len(times(work)) == 2
        assert not [path for path in work.rglob(".*")]
        listed = read_report(work)
        assert len(listed) <= 2
        assert all(image_of(work, case_id).stat().st_size for case_id in listed["case_id"])
        assert set(preprocess(cases, work, SIZE)["status"]) == {"ok"}

    def test_a_full_disk_from_the_start_keeps_the_report_there_was(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        preprocess(cases, work, SIZE)
        before = (work / "preprocess.csv").read_bytes()

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", full)
            with pytest.raises(BoneAgeError, match="disk is full"):
                preprocess(cases, work, 48)
        assert (work / "preprocess.csv").read_bytes() == before
        assert cv2.imread(str(image_of(work, "a")), 0).shape == (SIZE, SIZE)

    def test_a_read_only_folder_is_one_line(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_only(*_: object, **__: object) -> None:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(files.tempfile, "NamedTemporaryFile", read_only)
        with pytest.raises(BoneAgeError, match="read-only"):
            preprocess(cases, work, SIZE)

    def test_a_file_in_place_of_the_folder_is_one_line(self, cases: pd.DataFrame, work: Path) -> None:
        work.mkdir()
        (work / "images").write_text("in the way")
        with pytest.raises(BoneAgeError, match="is a file, not a folder"):
            preprocess(cases, work, SIZE)


class TestSummary:
    def test_it_counts_kinds_and_sizes(self, cases: pd.DataFrame, work: Path) -> None:
        Path(cases["image"][5]).write_bytes(Path(cases["image"][0]).read_bytes())
        Path(cases["image"][1]).write_bytes(b"")
        table = summary(preprocess(cases, work, SIZE)).set_index("what")
        assert table.loc["all images read"].to_list() == [5, "64 × 96", "64 × 96", "200 × 40"]
        assert table.loc["JPEG, 8 bit, L", "images"] == 2
        assert table.loc["PNG, 16 bit, I;16", "images"] == 1
        assert table.filter(like="duplicates", axis=0)["images"].item() == 1
        assert table.filter(like="skipped", axis=0)["images"].item() == 1

    def test_it_is_readable_for_no_images(self, work: Path) -> None:
        report = preprocess(pd.DataFrame({"case_id": [], "image": []}), work, SIZE)
        assert set(summary(report)["images"]) == {0}


class TestContactSheet:
    def test_it_holds_all_images_in_rows(self) -> None:
        images = [(f"case {index}", np.full((40, 40), 200, np.uint8)) for index in range(5)]
        sheet = contact_sheet(images, columns=3, thumb=48)
        count, _ = cv2.connectedComponents((sheet == 200).astype(np.uint8), connectivity=4)
        areas = cv2.connectedComponentsWithStats((sheet == 200).astype(np.uint8), connectivity=4)[2][
            1:, cv2.CC_STAT_AREA
        ]
        assert count > 5
        assert sum(areas == 48 * 48) == 5
        assert sheet.shape[1] > 3 * 48
        assert contact_sheet([], columns=3).ndim == 2

    def test_the_written_one_is_drawn_evenly_over_age(
        self, cases: pd.DataFrame, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        report = preprocess(cases, work, SIZE)
        drawn = []
        monkeypatch.setattr(
            sheets, "contact_sheet", lambda images, *_: drawn.extend(images) or np.zeros((9, 9), np.uint8)
        )
        write_contact_sheet(work / "sheet.png", cases, report, work, count=3)
        captions = [caption for caption, _ in drawn]
        assert captions[0] == "a · 0.5 years"
        assert captions[-1] == "f · year 18"
        assert len(captions) == 3

    def test_it_can_be_opened(self, cases: pd.DataFrame, work: Path) -> None:
        report = preprocess(cases, work, SIZE)
        path = write_contact_sheet(work / "sheet.png", cases, report, work)
        assert read_grey(path.read_bytes(), "sheet.png")[0].std() > 10


@pytest.mark.real_data
class TestRealImages:
    def test_every_image_of_a_sample_is_read(self, real_data: Path, work: Path) -> None:
        found = sorted(path for path in real_data.rglob("*") if path.suffix in (".jpg", ".png"))[::25]
        cases = pd.DataFrame(
            {
                "case_id": [f"case-{index}" for index in range(len(found))],
                "image": [str(path) for path in found],
            }
        )
        report = preprocess(cases, work, 256)
        assert len(report) > 20
        assert list(report["reason"].unique()) == [""]
        for case_id, width, height in zip(report["case_id"], report["width"], report["height"], strict=True):
            image = cv2.imread(str(image_of(work, case_id)), cv2.IMREAD_UNCHANGED)
            assert image.shape == (256, 256)
            assert image.std() > 1
            assert min(width, height) > 300
