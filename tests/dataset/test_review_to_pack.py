"""From a review to the augmented set: what the decisions do to plan, images, labels and pack."""

# ruff: noqa: F401, F811 - a fixture is imported

import json
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from work_folders import CASES, TOTAL, prepared

from boneage import pipeline
from boneage.__main__ import main
from boneage.core.errors import BoneAgeError
from boneage.core.settings import Settings
from boneage.core.tables import LABEL_TABLE, PLAN_TABLE, read_plan, read_table
from boneage.dataset.labels import read_labels
from boneage.images.operators import apply_operators, format_operators, operators_of_image
from boneage.review.log import ReviewLog
from boneage.workspace import Workspace


def test_labels_cover_every_image_of_the_plan_and_no_rejected_case(prepared):
    log = pipeline.open_review(prepared)
    log.append("2003", "reject", "bracelet")
    log.append("2004", "keep")
    plan, _ = pipeline.make_plan(prepared)
    assert len(plan) == TOTAL
    record = pipeline.make_augmented(prepared)
    assert set(record["status"]) == {"ok"}
    labels = pipeline.make_labels(prepared)
    assert labels.table["Case ID"].tolist() == plan["image_id"].tolist()
    recipes = zip(plan["corrections"], plan["augmentations"], strict=True)
    assert labels.table["Operators"].tolist() == [
        format_operators(operators_of_image(*row)) for row in recipes
    ]
    assert "2003" not in set(labels.table["Source ID"])
    assert labels.table["Source ID"].nunique() == CASES - 1
    said = labels.skipped.set_index("item")["reason"]
    assert said["2003"] == "rejected in review: bracelet"
    copies = labels.table["Case ID"] != labels.table["Source ID"]
    assert set(labels.table.loc[copies, "Split"]) == {"train"}
    assert labels.table.groupby("Source ID")["Split"].nunique().max() == 1
    ages = labels.table.groupby("Source ID")["Bone Age"].nunique()
    assert (ages == 1).all()
    pack = pipeline.make_pack(prepared)
    assert list(pack.ids) == plan["image_id"].tolist()


def test_another_file_under_an_id_is_dealt_anew_and_its_decision_is_called_in_question(prepared, capsys):
    images = prepared.root.parent / "rsna" / "images"
    pipeline.open_review(prepared).append("2004", "keep")
    plan, notices = pipeline.make_plan(prepared)
    assert "39 cases are not reviewed yet and stay in" in notices
    split = plan.drop_duplicates("case_id").set_index("case_id")["split"]
    other = next(case for case in split.index if split[case] == "test" and case != "2004")
    training = next(case for case in split.index if split[case] == "train" and case != "2004")
    pipeline.make_augmented(prepared)
    pipeline.make_labels(prepared)
    picture = cv2.imread(str(images / f"{training}.png"), 0)
    for case in (other, "2004"):
        cv2.imwrite(str(images / f"{case}.png"), cv2.add(picture, 3 if case == other else 4))
    capsys.readouterr()
    pipeline.make_images(prepared)
    assert "(1: its file has changed since the review decided on it" in capsys.readouterr().out
    assert "plan" in [name for name, why in prepared.outdated().items() if why]
    with pytest.raises(BoneAgeError, match="plan"):
        pipeline.make_augmented(prepared)
    plan, _ = pipeline.make_plan(prepared)
    split = plan.drop_duplicates("case_id").set_index("case_id")["split"]
    assert split[other] == split[training] == split["2004"]


@pytest.mark.parametrize("missing", ["sex", "label"])
def test_of_two_cases_with_one_file_the_one_that_can_be_labelled_stands(prepared, missing):
    images = prepared.root.parent / "rsna" / "images"
    shutil.copy(images / "2003.png", images / "2005.png")
    pipeline.make_images(prepared)
    table = pd.read_csv(prepared.cases, dtype=str, keep_default_na=False)
    table.loc[table["case_id"] == "2003", "sex" if missing == "sex" else ["bone_age", "age_group"]] = ""
    table.to_csv(prepared.cases, index=False)
    labels = pipeline.make_labels(prepared)
    said = labels.skipped.set_index("item")["reason"]
    assert said["2003"] == "the same file as case 2005"
    assert "2005" in set(labels.table["Source ID"])
    assert "2003" not in set(labels.table["Source ID"])


def test_the_same_decisions_and_seed_give_the_same_plan(prepared):
    first, _ = pipeline.make_plan(prepared)
    again, _ = pipeline.make_plan(prepared)
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_frame_equal(first, read_plan(prepared.plan))
    other, _ = pipeline.make_plan(prepared.replace(split_seed=7))
    assert not first.equals(other)


def test_labels_know_the_seed_of_their_split(prepared):
    drawn = prepared.replace(split_seed=0)
    assert pipeline.make_labels(drawn).split_seed == pipeline.load_labels(drawn).split_seed == 0
    drawn.labels.with_suffix(".json").unlink()
    assert read_labels(drawn.labels).split_seed is None


def test_a_plan_from_other_decisions_or_settings_is_refused(prepared):
    pipeline.make_plan(prepared)
    pipeline.make_augmented(prepared)
    pipeline.make_labels(prepared)
    for changed in ({"split_seed": 7}, {"total": 80}, {"laterality_matters": True}, {"test_share": 0.1}):
        option = next(iter(changed)).replace("_", "-")
        with pytest.raises(BoneAgeError, match=rf"out of date \(--{option} changed from"):
            pipeline.make_labels(prepared.replace(**changed))
    pipeline.open_review(prepared).append("2005", "reject", "ring")
    with pytest.raises(BoneAgeError, match="the review log changed"):
        pipeline.make_labels(prepared)
    pipeline.open_review(prepared).undo("2005")
    assert len(pipeline.make_labels(prepared).table) == TOTAL


def test_labels_wait_for_the_images_of_the_plan(prepared):
    pipeline.make_plan(prepared)
    with pytest.raises(BoneAgeError, match="augment"):
        pipeline.make_labels(prepared)
    pipeline.make_augmented(prepared)
    (prepared.images / "2001.png").unlink()
    gone = read_plan(prepared.plan).query("case_id == '2001'")["image_id"].tolist()
    for image_id in gone:
        (prepared.augmented / f"{image_id}.png").unlink()
    record = pipeline.make_augmented(prepared)
    assert record.loc[record["status"] == "skipped", "image_id"].tolist() == gone
    labels = pipeline.make_labels(prepared)
    assert len(labels.table) == TOTAL - len(gone)
    assert set(gone) <= set(labels.skipped["item"])


def test_nothing_is_augmented_without_a_plan_or_with_a_total_of_none(prepared):
    pipeline.open_review(prepared).append("2003", "reject", "other", note="a spoon")
    labels = pipeline.make_labels(prepared)
    assert len(labels.table) == CASES - 1
    assert pipeline.images_folder(prepared, labels).name == "images"
    nothing = prepared.replace(total=0)
    plan, _ = pipeline.make_plan(nothing)
    assert set(plan["corrections"]) == set(plan["augmentations"]) == {"[]"}
    pipeline.make_augmented(nothing)
    pd.testing.assert_frame_equal(pipeline.make_labels(nothing).table, labels.table)


def is_hidden(pack, case_id: str, work: Workspace) -> bool:
    """Whether the upper left corner of a packed image, blanked, tells nothing of the image as it came."""
    came = cv2.imread(str(work.images / f"{case_id}.png"), 0)
    small = cv2.resize(came, (32, 32), interpolation=cv2.INTER_AREA)[:7, :15]
    packed = pack.images[pack.ids.index(case_id)][:7, :15]
    return np.ptp(packed) < np.ptp(small) / 2 and abs(np.corrcoef(packed.ravel(), small.ravel())[0, 1]) < 0.8


def test_a_box_blanked_in_review_is_blank_in_every_image_of_the_case(prepared):
    box = {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.5, "height": 0.25}
    log = pipeline.open_review(prepared)
    for number in range(CASES):
        log.append(str(2000 + number), "keep", corrections=[box])
    plan, _ = pipeline.make_plan(prepared)
    pipeline.make_augmented(prepared)
    for row in plan.itertuples():
        assert json.loads(row.corrections)[0] == box
    for image_id in plan.loc[plan["image_id"] == plan["case_id"], "image_id"]:
        came = cv2.imread(str(prepared.images / f"{image_id}.png"), 0)
        made = cv2.imread(str(prepared.augmented / f"{image_id}.png"), 0)
        assert (made == apply_operators(came, [box])).all()
        assert (made[:24, :48] != came[:24, :48]).mean() > 0.9


def test_labels_without_a_plan_show_no_part_that_should_be_blank(prepared):
    box = {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.5, "height": 0.25}
    pipeline.open_review(prepared).append("2007", "keep", corrections=[box])
    labels = pipeline.make_labels(prepared)
    assert json.loads(labels.table.set_index("Case ID").at["2007", "Operators"]) == [box]
    pack = pipeline.make_pack(prepared)
    assert is_hidden(pack, "2007", prepared)
    nothing = prepared.replace(total=0)
    pipeline.make_plan(nothing)
    pipeline.make_augmented(nothing)
    pd.testing.assert_frame_equal(pipeline.make_labels(nothing).table, labels.table)


def test_labels_of_older_decisions_reach_no_network(prepared):
    pipeline.make_labels(prepared)
    pipeline.make_pack(prepared)
    # Another seed of the training is no other decision.
    assert len(pipeline.load_labels(prepared.replace(train_seed=7)).table) == CASES
    # Reading writes nothing.
    assert not prepared.accepted.exists()
    log = pipeline.open_review(prepared)
    log.append("2008", "reject", "ring")
    for use in (pipeline.load_labels, pipeline.make_pack):
        with pytest.raises(BoneAgeError, match="the review log changed"):
            use(prepared)
    log.undo("2008")
    log.append("2007", "keep", corrections=[{"name": "blank", "x": 0, "y": 0, "width": 0.5, "height": 0.5}])
    with pytest.raises(BoneAgeError, match="the review log changed"):
        pipeline.load_labels(prepared)
    log.undo("2007")
    assert len(pipeline.load_labels(prepared).table) == CASES


def test_a_recorded_log_decides_what_nobody_has_and_stays_as_it_was(prepared, tmp_path):
    recorded = ReviewLog(tmp_path / "recorded.csv", "Ada")
    recorded.append("2001", "reject", "ring")
    recorded.append("2002", "reject", "bracelet", note="a cuff, bright")
    before = recorded.path.read_bytes() + b"2003"
    recorded.path.write_bytes(before)
    pipeline.open_review(prepared).append("2001", "keep")
    said = pipeline.fill_review(prepared, recorded.path)
    assert "1 decisions from recorded.csv" in said
    assert recorded.path.read_bytes() == before
    assert not list(tmp_path.glob("recorded.csv.torn"))
    rejected = pipeline.apply_review(prepared).rejected
    assert rejected[["case_id", "reason", "note", "reviewer"]].values.tolist() == [
        ["2002", "bracelet", "a cuff, bright", "Ada"]
    ]
    assert "0 decisions" in pipeline.fill_review(prepared, recorded.path)
    assert "No recorded log" in pipeline.fill_review(prepared)
    with pytest.raises(BoneAgeError, match="no such review log"):
        pipeline.fill_review(prepared.replace(recorded_review=str(tmp_path / "absent.csv")))


def test_what_is_large_lies_in_the_cache_and_is_made_again_when_that_is_lost(prepared, tmp_path):
    cache = tmp_path / "fast"
    work = prepared.replace(work=str(tmp_path / "drive"), cache=str(cache))

    def stages():
        pipeline.make_cases(work)
        pipeline.make_images(work)
        pipeline.make_plan(work)
        pipeline.make_augmented(work)
        labels = pipeline.make_labels(work)
        return pipeline.make_pack(work, labels).images[:]

    images = stages()
    large = {"preprocess.csv", "images", "augmented", "pack-32"}
    assert large <= {path.name for path in cache.iterdir()}
    slow = {path.name for path in (tmp_path / "drive").iterdir()}
    assert {"cases.csv", "plan.csv", "labels.csv"} <= slow
    assert not large & slow
    # Colab takes the runtime's disk away with the runtime.
    shutil.rmtree(cache)
    assert pipeline.load_labels(work).table["Case ID"].is_unique, "training elsewhere needs no images"
    with pytest.raises(BoneAgeError, match="run augment first"):
        pipeline.make_pack(work)
    with pytest.raises(BoneAgeError, match="preprocess it again"):
        pipeline.make_augmented(work)
    assert (stages() == images).all()


def test_with_no_person_at_hand_likely_anomalous_images_are_rejected_in_the_detectors_name(
    prepared, monkeypatch
):
    found = pd.DataFrame(
        [
            ("2001", "bracelet", 0.9, "a cuff, bright"),
            ("2002", "right hand", 0.5, "the thumb lies on the left"),
            ("2003", "bracelet", 0.4, "too faint to act on"),
            ("2004", "dark", 1.0, "an operator mends it"),
            ("2005", "metal", 0.8, "a person looked and kept it"),
        ],
        columns=["case_id", "kind", "score", "why"],
    )
    monkeypatch.setattr(pipeline, "make_anomalies", lambda settings: found)
    monkeypatch.setattr(pipeline.detectors, "SMALLEST_SIDE", prepared.settings.image_size)
    pipeline.open_review(prepared).append("2005", "keep")
    assert pipeline.reject_likely(prepared).startswith("2 images")
    rejected = pipeline.apply_review(prepared).rejected
    assert rejected[["case_id", "reason", "reviewer"]].values.tolist() == [
        ["2001", "bracelet", "detectors"],
        ["2002", "other", "detectors"],
    ]
    assert rejected["note"][0] == "bracelet, score 0.90: a cuff, bright"
    pipeline.open_review(prepared).append("2001", "keep")
    assert pipeline.reject_likely(prepared).startswith("0 images")
    assert pipeline.apply_review(prepared).rejected["case_id"].tolist() == ["2002"]


def test_detectors_warn_of_images_too_small_for_them_and_reject_none(prepared, capsys):
    assert prepared.settings.image_size < pipeline.detectors.SMALLEST_SIDE
    pipeline.make_anomalies(prepared)
    assert "sound images for anomalous" in capsys.readouterr().out
    with pytest.raises(BoneAgeError, match=r"images: at .* pixels .*--image-size 256 or more"):
        pipeline.reject_likely(prepared)
    assert not prepared.review.exists()


def test_a_review_that_rejects_every_case_says_so(prepared):
    log = pipeline.open_review(prepared)
    for number in range(CASES):
        log.append(str(2000 + number), "reject", "other")
    with pytest.raises(BoneAgeError, match="every case is rejected"):
        pipeline.make_plan(prepared)


def test_images_are_looked_at_again_only_when_something_changed(prepared, monkeypatch):
    first = pipeline.make_anomalies(prepared)
    looked = []
    find = pipeline.detectors.find_anomalies

    def counting(*arguments):
        looked.append(True)
        return find(*arguments)

    monkeypatch.setattr(pipeline.detectors, "find_anomalies", counting)
    pd.testing.assert_frame_equal(pipeline.make_anomalies(prepared), first)
    assert not looked
    prepared.record("anomalies").write_text("{", encoding="utf-8")
    pd.testing.assert_frame_equal(pipeline.make_anomalies(prepared), first)
    assert len(looked) == 1
    pipeline.make_images(prepared.replace(image_size=64))
    pipeline.make_anomalies(prepared)
    assert len(looked) == 2


def test_verbs_from_anomalies_to_labels(prepared, tmp_path, capsys):
    prepared.settings.save(prepared.settings_file)
    log = ReviewLog(tmp_path / "log.csv", "Ada")
    log.append("2001", "reject", "growth abnormality")

    def verb(*words) -> str:
        assert main([words[0], "--work", str(prepared.root), *words[1:]]) == 0
        return capsys.readouterr().out

    assert "anomalies.csv" in verb("anomalies")
    said = verb("review", "--apply", str(log.path))
    assert f"accepted.csv: {CASES - 1} cases" in said
    assert "rejected.csv: 1 cases" in said
    assert f"{CASES - 1} cases are not reviewed yet" in said
    assert "plan.csv: 70 images" in verb("plan", "--total", "70")
    assert "70 of 70 images" in verb("augment")
    verb("labels")
    assert len(read_table(prepared.labels, LABEL_TABLE)) == 70
    assert "70 images of 32 px" in verb("pack")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("plan", "--total", "3"), "total 3"),
        (("review", "--apply", "absent.csv"), "no such review log"),
        (("augment",), "plan.csv"),
        (("plan", "--total", "-1"), "total"),
    ],
)
def test_a_verb_that_cannot_go_on_says_why_in_one_line(prepared, capsys, words, named):
    prepared.settings.save(prepared.settings_file)
    assert main([words[0], "--work", str(prepared.root), *words[1:]]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("boneage: ")
    assert named in said


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([], "no row"),
        ([("a", "a", "train", "[]", "[]"), ("A", "a", "train", "[]", "[]")], "appears twice"),
        ([("../a", "a", "train", "[]", "[]")], "cannot name a file"),
        ([("a", "a", "practice", "[]", "[]")], "practice"),
        ([("a-001", "a", "test", "[]", "[]")], "not in the training split"),
    ],
)
def test_a_faulty_plan_is_refused(tmp_path, rows, named):
    path = tmp_path / "plan.csv"
    pd.DataFrame(rows, columns=list(PLAN_TABLE)).to_csv(path, index=False)
    with pytest.raises(BoneAgeError, match=named):
        read_plan(path)


def test_drawn_hands_bring_a_review_that_rejects_every_anomaly(tmp_path):
    chosen = {"phantoms_per_group": 1, "phantom_anomalies": 0.3, "image_size": 96}
    work = Workspace(Settings.preset("demo", work=str(tmp_path), **chosen))
    folder = pipeline.get_data(work)
    truth = read_table(folder / "phantom.csv", ("image number", "anomaly"))
    log = ReviewLog(folder / "review.csv")
    assert log.notices == []
    state = log.state("recorded")
    assert set(state) == set(truth["image number"])
    odd = set(truth.loc[truth["anomaly"] != "", "image number"])
    assert odd
    assert {case_id for case_id, row in state.items() if row.decision == "reject"} == odd
    assert len({row.reason for row in state.values()}) == 5
    pipeline.make_cases(work)
    skipped = read_table(work.skipped("cases"), ("item",))
    # Nothing is said but of readings far from the folder's age, which bones out of step have.
    assert set(skipped["item"]) <= set(truth.loc[truth["anomaly"] == "growth", "image number"])


def boxed_and_augmented(prepared) -> Workspace:
    """A work folder whose case 2004 has its upper left corner blanked, and case 2003 was rejected."""
    box = {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.5, "height": 0.25}
    log = pipeline.open_review(prepared)
    log.append("2003", "reject", "ring")
    log.append("2004", "keep", corrections=[box])
    pipeline.make_plan(prepared)
    pipeline.make_augmented(prepared)
    return prepared


def unboxed(plan):
    return plan.assign(corrections=plan["corrections"].where(plan["case_id"] != "2004", "[]"))


def with_rejected(plan):
    return pd.concat([plan, pd.DataFrame([["2003", "2003", "train", "[]", "[]"]], columns=plan.columns)])


def without_test(plan):
    return plan[plan["split"] != "test"]


@pytest.mark.parametrize("edit", [unboxed, with_rejected, without_test])
def test_a_plan_changed_by_hand_is_refused(prepared, edit):
    work = boxed_and_augmented(prepared)
    before = (work.augmented / "2004.png").read_bytes()
    edit(read_plan(work.plan)).to_csv(work.plan, index=False)
    for stage in (pipeline.make_augmented, pipeline.make_labels):
        with pytest.raises(BoneAgeError, match=r"plan\.csv was edited"):
            stage(prepared)
    assert (work.augmented / "2004.png").read_bytes() == before
    assert not (work.augmented / "2003.png").exists()


def test_nothing_is_augmented_from_a_plan_that_knows_no_later_box(prepared):
    pipeline.make_plan(prepared)
    box = {"name": "blank", "x": 0.0, "y": 0.0, "width": 0.5, "height": 0.25}
    pipeline.open_review(prepared).append("2007", "keep", corrections=[box])
    with pytest.raises(BoneAgeError, match="the review log changed"):
        pipeline.make_augmented(prepared)
    assert not prepared.augmented.exists()


def test_labels_of_augmented_images_never_pack_the_square_ones(prepared):
    work = boxed_and_augmented(prepared)
    pipeline.make_labels(prepared)
    work.plan.unlink()
    pack = pipeline.make_pack(prepared)
    assert is_hidden(pack, "2004", work)


def test_labels_of_no_image_are_refused(prepared):
    pipeline.make_plan(prepared)
    for image in prepared.images.iterdir():
        image.unlink()
    with pytest.raises(BoneAgeError, match="no images of the plan: left out 90 of 90"):
        pipeline.make_augmented(prepared)
    with pytest.raises(BoneAgeError, match="holds no image of the plan"):
        pipeline.make_labels(prepared)
    assert not prepared.labels.exists()


def test_an_image_that_could_not_be_read_is_looked_at_once_it_is_put_right(prepared):
    found = pipeline.make_anomalies(prepared)
    image = next(prepared.images.glob("*.png"))
    data = image.read_bytes()
    image.write_bytes(data[:500])
    prepared.record("anomalies").unlink()
    pipeline.make_anomalies(prepared)
    assert len(pd.read_csv(prepared.skipped("anomalies"))) == 1
    image.write_bytes(data)
    pd.testing.assert_frame_equal(pipeline.make_anomalies(prepared), found)


def test_anomalies_that_were_edited_or_cut_short_are_found_again(prepared):
    found = pipeline.make_anomalies(prepared)
    path = prepared.anomalies
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], whole.replace(b"\n20", b"\n99")):
        path.write_bytes(damage)
        pd.testing.assert_frame_equal(pipeline.make_anomalies(prepared), found)
        assert path.read_bytes() == whole


def test_half_an_emoji_in_a_note_stops_nothing(prepared):
    pipeline.open_review(prepared).append("2003", "reject", "other", note="\ud83d")
    pipeline.apply_review(prepared)
    assert read_table(prepared.rejected, ("note",))["note"].tolist() == ["\\ud83d"]


def test_a_faulty_recorded_log_is_named_and_told(prepared, tmp_path):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("case_id,kind\n")
    with pytest.raises(BoneAgeError, match=r"wrong\.csv: not a review log"):
        pipeline.fill_review(prepared, wrong)
    with open(wrong, "wb") as file:
        file.truncate(70 * 2**20)
    with pytest.raises(BoneAgeError, match=r"wrong\.csv: larger than 64 MiB"):
        pipeline.fill_review(prepared, wrong)
    log = ReviewLog(tmp_path / "recorded.csv")
    log.append("2003", "reject", "ring")
    log.path.write_text(log.path.read_text().replace(",ring,", ",rings,"))
    assert f"{log.path}: line 2 is not a decision" in pipeline.fill_review(prepared, log.path)


def test_a_race_that_no_label_may_have_is_told_before_the_labels(prepared):
    cases = read_table(prepared.cases, ("case_id", "race"))
    cases.loc[cases["case_id"] == "2003", "race"] = "Martian"
    cases.to_csv(prepared.cases, index=False)
    labels = pipeline.make_labels(prepared)
    assert "Martian" in labels.skipped.set_index("item")["reason"]["2003"]
    assert len(pipeline.load_labels(prepared).table) == CASES - 1


def test_the_review_is_waited_for_until_it_is_done_or_said_to_be(prepared):
    log = pipeline.open_review(prepared)
    cases = pipeline.reviewable_cases(prepared)["case_id"].tolist()
    log.append(cases[0], "keep")
    with pytest.raises(BoneAgeError, match=r"39 of 40 cases are undecided: .* tick REVIEWED") as error:
        pipeline.wait_for_review(prepared, reviewed=False)
    assert "\n" not in str(error.value)
    assert "1 of 40" in pipeline.wait_for_review(prepared, reviewed=True)
    for case_id in cases[1:]:
        log.append(case_id, "keep")
    assert "40 of 40" in pipeline.wait_for_review(prepared, reviewed=False)


@pytest.mark.parametrize("planned", [True, False])
def test_an_image_kept_with_a_turn_is_upright_in_every_split(prepared, planned):
    log = pipeline.open_review(prepared)
    for number in range(CASES):
        log.append(str(2000 + number), "keep", corrections=[{"name": "rotate", "degrees": 180}])
    if planned:
        pipeline.make_plan(prepared)
        pipeline.make_augmented(prepared)
    labels = pipeline.make_labels(prepared)
    assert set(labels.table["Split"]) == {"train", "validation", "test"}
    folder = pipeline.images_folder(prepared, labels)
    for case_id in labels.table["Source ID"].unique():
        upside_down = cv2.imread(str(prepared.images / f"{case_id}.png"), 0)
        assert (cv2.imread(str(folder / f"{case_id}.png"), 0) == upside_down[::-1, ::-1]).all()
    pack = pipeline.make_pack(prepared)
    assert len(pack.ids) == len(labels.table)
    with pytest.raises(BoneAgeError, match="images as they came"):
        pipeline.make_pack(prepared, labels, prepared.images)
    # What was chosen is undone, and no labels of before are used.
    log.undo("2000")
    with pytest.raises(BoneAgeError, match="the review log changed"):
        pipeline.make_pack(prepared)
