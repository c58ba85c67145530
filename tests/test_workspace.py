"""The work folder knows what each stage was made from, and whether that still is."""

# ruff: noqa: F401, F811 - a fixture is imported

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from finished_runs import write_run
from small_disk import fill, set_read_only, small_disk
from work_folders import TOTAL, prepare, prepared

from boneage import pipeline
from boneage.__main__ import main
from boneage.core.errors import BoneAgeError
from boneage.core.tables import read_table, write_table
from boneage.dataset import augment as augmenting
from boneage.evaluation import RunKey
from boneage.images import preprocess as preprocessing
from boneage.status import EDITED, MISSING, OUT_OF_DATE, UP_TO_DATE, next_stage, status_of
from boneage.workspace import STAGES, Workspace

EVERY = [*list(STAGES)[:-1], "train", "compare"]
AFTER_PLAN = ["plan", "augment", "labels", "pack", "train", "compare"]
FACTS = ["Stage", "State", "Why"]


def train_nothing(work: Workspace, network: str = "cnn", **changes) -> str:
    """Leaves a run of the pack as it is, as far as the work folder can tell."""
    trained_on = {name: work.made("pack").more[name] for name in ("set", "fingerprint")}
    settings = work.settings.model_dump(mode="json")
    record = {"network": network, "size": work.settings.train_size, "epochs": 1, "settings": settings}
    key = RunKey(network, 1, trained_on["set"], changes.get("train_seed", 2026))
    write_run(work.runs / str(key), **record | trained_on | changes)
    return str(key)


def an_anomaly(cases, *_):
    row = (cases["case_id"][0], "metal", 0.9, *[np.nan] * 5, "bright")
    columns = list(pipeline.detectors.ANOMALY_TABLE)
    return pd.DataFrame([row], columns=columns), pd.DataFrame(columns=["item", "reason"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workspace:
    """A work folder in which every stage is done."""
    work = prepare(tmp_path_factory.mktemp("finished")).replace(epochs=(1,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline.detectors, "find_anomalies", an_anomaly)
        pipeline.make_anomalies(work)
    pipeline.apply_review(work)
    pipeline.make_plan(work)
    pipeline.make_augmented(work)
    pipeline.make_labels(work)
    pipeline.make_pack(work)
    train_nothing(work)
    with work.making("compare") as making:
        work.report.write_text("report")
        write_table(work.comparison / "groups.csv", pd.DataFrame({"Race": ["Asian"], "MAE": [1.0]}))
        making.count = 1
    return work


@pytest.fixture
def made(finished, tmp_path, monkeypatch) -> Workspace:
    """A copy of it, as it is when it is moved."""
    monkeypatch.setattr(pipeline.detectors, "find_anomalies", an_anomaly)
    work = finished.replace(work=str(tmp_path / "work"))
    shutil.copytree(finished.root, work.root)
    return work


def states(work: Workspace) -> dict[str, str]:
    table = status_of(work)
    return dict(zip(table["Stage"], table["State"], strict=True))


def out_of_date(work: Workspace) -> list[str]:
    return [name for name, state in states(work).items() if state == OUT_OF_DATE]


def why(work: Workspace, stage: str) -> str:
    return status_of(work).set_index("Stage").at[stage, "Why"]


def edit(path, column, value) -> None:
    table = read_table(path, (column,))
    table.loc[0, column] = value
    table.to_csv(path, index=False)


def test_what_was_just_made_is_up_to_date_and_counted(made):
    status = status_of(made)
    assert status["Stage"].tolist() == EVERY
    assert set(status["State"]) == {UP_TO_DATE}
    assert not status["Why"].any()
    counts = status.set_index("Stage")["Made (UTC)"].str.partition(" on ")[0]
    assert counts[["cases", "preprocess", "plan", "pack", "train"]].tolist() == ["40", "40", "90", "90", "1"]
    assert next_stage(status) == ""


@pytest.mark.parametrize(
    ("setting", "value", "stages", "reason"),
    [
        ("total", 80, AFTER_PLAN, "--total changed from 90 to 80"),
        ("test_share", 0.1, AFTER_PLAN, "--test-share changed from 0.2 to 0.1"),
        ("laterality_matters", True, AFTER_PLAN, "--laterality-matters changed from False to True"),
        ("label", "age_group", AFTER_PLAN, "--label changed from reading to age_group"),
        ("image_size", 64, EVERY[1:], "--image-size changed from 96 to 64"),
        ("data", "elsewhere", EVERY, "--data changed from"),
        ("unit", "years", EVERY, "--unit changed from none to years"),
        ("epochs", (1, 3), ["train", "compare"], "no run of 3 epochs"),
        # What says nothing about what is made.
        ("reviewer", "Ada", [], ""),
    ],
)
def test_a_setting_that_counts_makes_its_stage_and_those_after_it_out_of_date(
    made, setting, value, stages, reason
):
    changed = made.replace(**{setting: value})
    assert out_of_date(changed) == stages
    if stages:
        assert reason in why(changed, stages[0])
        assert next_stage(status_of(changed)) == stages[0]
    assert out_of_date(made) == []


def test_decisions_count_by_what_they_come_to_and_not_by_how(made):
    log = pipeline.open_review(made)
    log.append("2003", "keep")
    assert out_of_date(made) == []
    log.append("2003", "reject", "ring")
    assert out_of_date(made) == ["review", *AFTER_PLAN]
    assert why(made, "review") == why(made, "plan") == "the review log changed"
    log.undo("2003")
    assert out_of_date(made) == []
    log.append("2004", "keep", corrections=[{"name": "rotate", "degrees": 180}])
    assert out_of_date(made) == ["review", *AFTER_PLAN]
    pipeline.apply_review(made)
    pipeline.make_plan(made)
    assert out_of_date(made) == AFTER_PLAN[1:]
    made.review.unlink()
    assert out_of_date(made) == ["review", *AFTER_PLAN]


def test_what_a_person_corrects_stands_and_what_follows_from_it_does_not(made):
    edit(made.cases, "bone_age", "3.5")
    assert states(made)["cases"] == EDITED
    assert out_of_date(made) == ["anomalies", "review", *AFTER_PLAN]
    assert why(made, "anomalies") == why(made, "plan") == "cases.csv was edited"
    with pytest.raises(BoneAgeError, match=r"labels\.csv: out of date \(cases\.csv was edited"):
        pipeline.load_labels(made)
    with pytest.raises(BoneAgeError, match=r"plan\.csv: out of date \(cases\.csv was edited\)"):
        pipeline.make_augmented(made)


def test_a_corrected_case_table_is_kept_aside_when_the_source_is_read_again(made, capsys):
    edit(made.cases, "bone_age", "3.5")
    corrected = made.cases.read_bytes()
    pipeline.make_cases(made)
    assert (made.root / "cases-corrected-1.csv").read_bytes() == corrected
    assert "kept as cases-corrected-1.csv" in capsys.readouterr().out
    assert out_of_date(made) == []
    pipeline.make_cases(made)
    assert [path.name for path in made.root.glob("cases-*")] == ["cases-corrected-1.csv"]
    edit(made.cases, "bone_age", "4.5")
    pipeline.make_cases(made)
    assert (made.root / "cases-corrected-1.csv").read_bytes() == corrected
    assert (made.root / "cases-corrected-2.csv").is_file()


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_corrected_case_table_is_kept_aside_after_a_run_that_failed(made, monkeypatch, is_killed):
    edit(made.cases, "bone_age", "3.5")

    def read_source(*_):
        raise BoneAgeError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "read_source", read_source)
        with pytest.raises(BoneAgeError, match="gone"):
            pipeline.make_cases(made)
    if is_killed:
        # As it is while the stage runs.
        made.record("cases").rename(made.record("cases").with_suffix(".before"))
    assert made.is_corrected("cases")
    edit(made.cases, "bone_age", "4.5")
    corrected = made.cases.read_bytes()
    pipeline.make_cases(made)
    assert corrected in [path.read_bytes() for path in made.root.glob("cases-corrected-*")]
    assert out_of_date(made) == []


def test_corrected_labels_stand_and_are_packed_and_trained_anew(made):
    edit(made.labels, "Bone Age", "3.5")
    assert states(made)["labels"] == EDITED
    assert out_of_date(made) == ["pack", "train", "compare"]
    assert why(made, "pack") == "labels.csv was edited"
    assert pipeline.load_labels(made).table["Bone Age"][0] == 3.5
    pipeline.make_pack(made)
    assert why(made, "train").startswith("cnn-1-augmented-s2026 trained on other labels or images")


def test_another_program_may_save_a_table_as_it_is(made):
    for path in (made.cases, made.plan, made.labels):
        read_table(path, ()).to_csv(path, index=False, sep=";", lineterminator="\r\n")
    assert set(states(made).values()) == {UP_TO_DATE}


@pytest.mark.parametrize("name", ["anomalies", "accepted", "plan"])
def test_a_table_that_nobody_should_edit_is_made_again(made, name):
    path = getattr(made, name)
    edit(path, "case_id", "2039")
    stage = next(one.name for one in STAGES.values() if one.makes == name)
    assert out_of_date(made)[0] == stage
    assert f"{path.name} was edited" in why(made, stage)


def test_other_detectors_look_again_at_every_image(made, monkeypatch):
    monkeypatch.setattr("boneage.workspace.digest_of_source", lambda packages: "other")
    assert out_of_date(made) == ["anomalies"]
    assert why(made, "anomalies") == "the detectors changed"


def test_the_report_is_out_of_date_when_a_run_was_trained(made):
    train_nothing(made, "vgg16")
    assert out_of_date(made) == ["compare"]
    assert why(made, "compare") == "the runs changed"
    (made.runs / "vgg16-18-plain-s2026" / "checkpoint").mkdir(parents=True)
    left_out = status_of(made).set_index("Stage").at["train", "Left out"]
    assert left_out.startswith("1 of 3 (1: vgg16-18-plain-s2026: not finished")


def test_a_pack_is_kept_while_labels_and_images_are_the_same(made):
    def times():
        return {path.name: path.stat().st_mtime_ns for path in made.pack().iterdir()}

    before = times()
    pipeline.make_pack(made)
    assert times() == before
    image = made.augmented / "2001.png"
    image.write_bytes((made.augmented / "2002.png").read_bytes())
    pack = pipeline.make_pack(made)
    assert (pack.images[pack.ids.index("2001")] == pack.images[pack.ids.index("2002")]).all()
    # Only the shard with the changed image was made again.
    assert len([name for name, time in times().items() if time != before[name]]) == 2
    shard = pack.path / "00003.npy"
    shard.write_bytes(shard.read_bytes()[:-9])
    assert len(pipeline.make_pack(made).ids) == TOTAL
    shard.unlink()
    assert len(pipeline.make_pack(made).ids) == TOTAL


def stopped(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("stage", "module", "make", "run"),
    [
        ("preprocess", preprocessing, "_make", pipeline.make_images),
        ("augment", augmenting, "_make", pipeline.make_augmented),
        ("anomalies", pipeline.detectors, "find_anomalies", pipeline.make_anomalies),
    ],
)
def test_a_stage_that_was_stopped_is_not_taken_for_done(made, monkeypatch, stage, module, make, run):
    folder = made.images if stage == "preprocess" else made.augmented
    for path in sorted(folder.glob("*.png"))[:20]:
        path.unlink()
    made.record("anomalies").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(module, make, stopped)
        with pytest.raises(KeyboardInterrupt):
            run(made)
    assert stage in out_of_date(made)
    assert "not finished" in why(made, stage)
    run(made)
    assert states(made)[stage] == UP_TO_DATE


def test_a_stage_that_fails_before_it_writes_leaves_what_was_made(made):
    with pytest.raises(BoneAgeError, match="total 3"):
        pipeline.make_plan(made.replace(total=3))
    assert out_of_date(made) == []


def test_a_full_or_read_only_disk_costs_no_stage_that_was_made(finished, tmp_path):
    with small_disk(tmp_path / "disk", 8) as disk:
        work = finished.replace(work=str(disk / "work"))
        shutil.copytree(finished.root, work.root)
        fill(disk)
        for make in (pipeline.make_cases, pipeline.make_plan, pipeline.make_labels, pipeline.apply_review):
            with pytest.raises(BoneAgeError, match="disk is full"):
                make(work)
            assert out_of_date(work) == []
        (disk / "ballast").unlink()
        set_read_only(disk, True)
        for make in (pipeline.make_cases, pipeline.make_plan, pipeline.make_labels, pipeline.apply_review):
            with pytest.raises(BoneAgeError, match="read-only"):
                make(work)
            assert out_of_date(work) == []
        set_read_only(disk, False)


@pytest.mark.parametrize("damage", [b"", b"{", b"[" * 100_000, b'{"at": 3}', b"\xff"])
def test_a_damaged_record_is_no_record(made, damage):
    made.record("labels").write_bytes(damage)
    assert out_of_date(made)[0] == "labels"
    with pytest.raises(BoneAgeError, match=r"labels\.csv: out of date \(not finished"):
        pipeline.load_labels(made)


def test_a_work_folder_may_be_moved_and_copied_without_its_times(made, tmp_path):
    moved = made.replace(work=str(tmp_path / "other" / "place"))
    shutil.copytree(made.root, moved.root, copy_function=shutil.copyfile)
    shutil.rmtree(made.root)
    assert set(states(moved).values()) == {UP_TO_DATE}
    assert len(pipeline.load_labels(moved).table) == TOTAL


def test_labels_that_were_carried_alone_with_their_pack_are_used_as_they_are(made, tmp_path):
    carried = made.replace(work=str(tmp_path / "machine"))
    carried.root.mkdir()
    for path in (made.labels, made.labels.with_suffix(".json")):
        shutil.copy(path, carried.root)
    shutil.copytree(made.pack(), carried.pack())
    assert len(pipeline.load_labels(carried).table) == TOTAL
    found = states(carried)
    assert found["labels"] == found["pack"] == UP_TO_DATE
    assert found["cases"] == MISSING
    assert next_stage(status_of(carried)) == "train"
    assert len(pipeline.make_pack(carried).images) == TOTAL
    with pytest.raises(BoneAgeError, match="holds none of the"):
        pipeline.make_pack(carried, images=tmp_path / "nowhere")


def test_a_pack_without_images_is_used_only_with_the_labels_that_it_was_made_for(made):
    shutil.rmtree(made.augmented)
    assert len(pipeline.make_pack(made).images) == TOTAL
    edit(made.labels, "Bone Age", "3.5")
    with pytest.raises(BoneAgeError, match=r"holds none of the .* run augment"):
        pipeline.make_pack(made)


def test_labels_of_another_split_are_refused(made):
    for changed in ({"split_seed": 7}, {"test_share": 0.1}):
        (option,) = changed
        with pytest.raises(BoneAgeError, match=rf"--{option.replace('_', '-')} changed from"):
            pipeline.load_labels(made.replace(**changed))


@pytest.mark.parametrize("name", ["cases", "labels"])
def test_a_table_that_nobody_can_read_is_no_correction(made, name):
    path = getattr(made, name)
    path.write_text('case_id,"half a cell')
    assert states(made)[name] == OUT_OF_DATE
    assert f"{path.name} cannot be read" in why(made, name)
    assert next_stage(status_of(made)) == name
    path.unlink()
    path.mkdir()
    assert f"{path.name} cannot be read" in why(made, name)


@pytest.mark.parametrize(
    ("stage", "lost"),
    [("cases", "units"), ("review", "rejected"), ("labels", "facts"), ("compare", "comparison")],
)
def test_what_a_stage_writes_beside_its_table_belongs_to_it(made, stage, lost):
    path = made.where(lost)
    path.rename(path.with_name("elsewhere"))
    assert out_of_date(made)[0] == next_stage(status_of(made)) == stage
    assert why(made, stage) == f"{path.name} is missing"
    path.with_name("elsewhere").rename(path)
    assert out_of_date(made) == []


def test_labels_that_have_lost_whose_ages_they_are_are_refused_until_they_are_made_again(made):
    made.facts.write_text("{}")
    assert why(made, "labels") == "labels.json was edited"
    made.facts.unlink()
    with pytest.raises(BoneAgeError, match=r"labels\.csv: out of date \(labels\.json is missing\); run"):
        pipeline.load_labels(made)
    pipeline.make_labels(made)
    assert out_of_date(made) == []
    assert pipeline.load_labels(made).kind == "the radiologists' reading"


def test_corrected_labels_are_kept_aside_when_they_are_made_again(made, capsys):
    edit(made.labels, "Bone Age", "3.5")
    corrected = made.labels.read_bytes()
    with pytest.raises(BoneAgeError, match="out of date"):
        pipeline.make_labels(made.replace(total=80))
    pipeline.make_labels(made)
    assert capsys.readouterr().out.count("kept as labels-corrected-1.csv") == 1
    assert [path.read_bytes() for path in made.root.glob("labels-corrected-*")] == [corrected]
    assert out_of_date(made) == []


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("total", 80, "--total changed from 90 to 80"),
        ("pad", "white", "--pad changed from background to white"),
        ("image_size", 64, "--image-size changed from 96 to 64"),
    ],
)
def test_labels_made_with_other_settings_of_earlier_stages_are_used_and_that_is_said(
    made, setting, value, said, capsys
):
    changed = made.replace(**{setting: value})
    assert len(pipeline.load_labels(changed).table) == TOTAL
    assert f"labels.csv: used although out of date ({said}); `python -m boneage status`" in (
        capsys.readouterr().out
    )
    assert "labels" in out_of_date(changed)
    pipeline.load_labels(made)
    assert capsys.readouterr().out == ""


def test_runs_on_other_labels_are_named_with_what_becomes_of_them(made):
    train_nothing(made, "vgg16", train_seed=7)
    train_nothing(made, "unet", settings={**made.settings.model_dump(mode="json"), "width": "tiny"})
    assert why(made, "train") == ("unet-1-augmented-s2026 trained with another width, which train refuses")
    assert states(made)["train"] == UP_TO_DATE
    edit(made.labels, "Bone Age", "3.5")
    pipeline.make_pack(made)
    assert next_stage(status_of(made)) == "train"
    assert why(made, "train") == (
        "2 runs (the first: cnn-1-augmented-s2026) trained on other labels or images; train keeps the old in "
        "runs-aside/; vgg16-1-augmented-s7 trained on other labels or images, not in the report"
    )
    # As train leaves them.
    for name in ("cnn-1-augmented-s2026", "unet-1-augmented-s2026"):
        (made.root / "runs-aside").mkdir(exist_ok=True)
        (made.runs / name).rename(made.root / "runs-aside" / f"{name}-1")
    train_nothing(made)
    assert states(made)["train"] == UP_TO_DATE
    assert next_stage(status_of(made)) == "compare"


def test_a_run_of_a_variant_does_not_stand_for_the_plain_one(made):
    shutil.rmtree(made.runs)
    train_nothing(made, variant="sex")
    assert why(made, "train") == "no run of 1 epochs"
    assert next_stage(status_of(made)) == "train"


DAMAGE = {"a cell cut off": b'case_id,"half a cell', "bytes": bytes(range(256)), "empty": b""}
TABLES = {
    "cases.csv": "cases",
    "preprocess.csv": "preprocess",
    "anomalies.csv": "anomalies",
    "review.csv": "review",
    "accepted.csv": "review",
    "rejected.csv": "review",
    "plan.csv": "plan",
    "augmented/augment.csv": "augment",
    "labels.csv": "labels",
    "labels.json": "labels",
    "pack-32/00003.npy": "pack",
    "pack-32/index.json": "pack",
    "made/plan.json": "plan",
    "made/pack-32.json": "pack",
    "report.html": "compare",
    "comparison/groups.csv": "compare",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", TABLES)
def test_whatever_is_damaged_is_told_of_its_stage_in_the_table(made, name, damage, capsys):
    path = made.root / name
    pipeline.open_review(made).append("2004", "keep")
    made.settings.save(made.settings_file)
    path.write_bytes(damage)
    assert main(["status", "--work", str(made.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == EVERY
    # An empty log has no decisions, like none.
    if (name, damage) != ("review.csv", b""):
        line = lines[1 + EVERY.index(TABLES[name])]
        assert OUT_OF_DATE in line
        assert any(words in line for words in ("cannot be read", "was edited", "were edited", "not finished"))
    assert path.read_bytes() == damage


def test_a_log_that_cannot_be_read_is_told_before_anything_was_reviewed(prepared):
    prepared.review.write_bytes(bytes(range(256)))
    status = status_of(prepared).set_index("Stage")
    assert status.at["review", "State"] == MISSING
    assert status.at["review", "Why"] == "the review log cannot be read"


def test_what_was_left_out_is_not_silently_unknown(made):
    made.skipped("labels").unlink()
    made.skipped("cases").write_bytes(b"\0")
    left_out = status_of(made).set_index("Stage")["Left out"]
    assert left_out["labels"] == "skipped-labels.csv is missing"
    assert left_out["cases"] == "skipped-cases.csv cannot be read"
    run = made.runs / "cnn-1-augmented-s2026"
    (run / "predictions.csv").write_bytes(b"\0")
    status = status_of(made).set_index("Stage")
    assert status.at["train", "State"] == MISSING
    assert status.at["train", "Left out"].startswith("1 of 1 (1: cnn-1-augmented-s2026/predictions.csv: not")


def test_a_reason_is_given_once(made):
    edit(made.preprocess, "status", "skipped")
    assert why(made, "review") == "the images were edited"
    assert why(made, "augment") == "plan.csv out of date; the images out of date"


def test_a_folder_in_place_of_a_record_is_no_run(made):
    (made.runs / "cnn" / "record.json").mkdir(parents=True)
    assert not out_of_date(made)


def test_what_was_left_out_on_purpose_is_not_asked_for_again(made):
    for name in ("anomalies", "accepted"):
        made.where(name).unlink()
    assert next_stage(status_of(made)) == ""
    made.labels.unlink()
    assert next_stage(status_of(made)) == "labels"
    shutil.rmtree(made.augmented)
    assert next_stage(status_of(made)) == "augment"


def test_a_pack_that_was_lost_with_its_images_is_made_again_from_them(made):
    shutil.rmtree(made.augmented)
    shutil.rmtree(made.pack())
    assert next_stage(status_of(made)) == "augment"
    made.plan.unlink()
    made.labels.unlink()
    pipeline.make_labels(made)
    assert next_stage(status_of(made)) == "pack"


def test_a_lost_cache_leaves_what_was_made_of_it_as_it_is(made, tmp_path):
    shutil.rmtree(made.images)
    made.preprocess.unlink()
    made.record("preprocess").unlink()
    found = states(made)
    assert found["preprocess"] == MISSING
    assert found["labels"] == UP_TO_DATE
    edit(made.cases, "bone_age", "3.5")
    with pytest.raises(BoneAgeError, match="was edited"):
        pipeline.load_labels(made)


def test_without_a_plan_the_labels_are_of_the_square_images(prepared):
    pipeline.open_review(prepared).append("2007", "keep", corrections=[{"name": "rotate", "degrees": 180}])
    pipeline.make_labels(prepared)
    pipeline.make_pack(prepared)
    found = status_of(prepared).set_index("Stage")["State"]
    assert found[["labels", "pack"]].tolist() == [UP_TO_DATE] * 2
    assert found[["plan", "augment"]].tolist() == [MISSING] * 2
    assert next_stage(status_of(prepared)) == "train"
    assert out_of_date(prepared.replace(split_seed=7)) == ["labels", "pack"]
    pipeline.make_plan(prepared)
    assert "plan.csv is new" in why(prepared, "labels")
    with pytest.raises(BoneAgeError, match=r"plan\.csv is new"):
        pipeline.load_labels(prepared)


def test_the_verb_shows_a_line_a_stage_and_what_to_do_next(made, capsys, tmp_path):
    made.settings.save(made.settings_file)
    before = {path: path.stat().st_mtime_ns for path in made.root.rglob("*")}
    pipeline.open_review(made).append("2003", "reject", "ring")
    pipeline.apply_review(made)
    assert main(["status", "--work", str(made.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == EVERY
    assert "1 of 40 (1: ring)" in lines[1 + EVERY.index("review")]
    assert lines[1 + EVERY.index("plan")].endswith("the review log changed")
    assert lines[-1] == f"next: python -m boneage plan --work {made.root}"
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = {path.name for path in before if before[path] != after[path] and path.is_file()}
    assert changed <= {"accepted.csv", "rejected.csv", "review.json"}
    assert main(["status", "--work", str(tmp_path / "nothing here")]) == 0
    assert f"next: python -m boneage cases --work '{tmp_path}/nothing here'" in capsys.readouterr().out
    assert not (tmp_path / "nothing here").exists()
