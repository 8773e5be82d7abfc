"""Class files written as their programs write them: neuston, ifcb-analysis, iRfcb, ClassiPyR, the dashboard."""

import csv
import json
from functools import partial

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from aqqua_dist.core.errors import UserError
from aqqua_dist.readers.ifcb.classes import read_ifcb_classes, recognises
from aqqua_dist.readers.sources import Source

BIN, OTHER = "D20220522T003051_IFCB134", "IFCB5_2012_028_081515"
CLASSES = ["Ciliophora", "Chaetoceros_chain", "detritus", "Pseudo-nitzschia"]
ROIS = [2, 3, 17, 4108]
SCORES = np.array([[0.7, 0.1, 0.15, 0.05], [0.02, 0.9, 0.05, 0.03], [0.25, 0.25, 0.3, 0.2], [0.01, 0.02, 0.03, 0.94]])
WINNERS, DECIDED = list(CLASSES), ["Ciliophora", "Chaetoceros_chain", "unclassified", "Pseudo-nitzschia"]
IDS = [f"{BIN}_{roi:05d}" for roi in ROIS]
STRINGS, TIME = h5py.string_dtype(), "2022-06-01T10:00:00+00:00"


def neuston_h5(path, *, scores=SCORES, classes=CLASSES, rois=ROIS, base=0, images=None, bin_id=BIN, model="incept_v3"):
    """`_save_run_results_hdf` of neuston_callbacks.py, version v3."""
    with h5py.File(path, "w") as file:
        meta = file.create_dataset("metadata", data=h5py.Empty("f"))
        meta.attrs.update({"version": "v3", "model_id": model, "timestamp": TIME})
        file.create_dataset("output_classes", data=scores.argmax(axis=1) + base, compression="gzip", dtype="float16")
        file.create_dataset("output_scores", data=scores, compression="gzip", dtype="float16")
        file.create_dataset("class_labels", data=np.bytes_(classes), compression="gzip", dtype=STRINGS)
        if images is None:
            meta.attrs["bin_id"] = bin_id
            file.create_dataset("roi_numbers", data=rois, compression="gzip", dtype="uint16")
        else:
            file.create_dataset("input_images", data=np.bytes_(images), compression="gzip", dtype=STRINGS)
    return Source(path)


def neuston_mat(path, *, base=1, packed=True):
    """`_save_run_results_mat`: numbers of classes from 1."""
    savemat(
        path,
        {
            "output_classes": SCORES.argmax(axis=1).astype("u4") + base,
            "version": "v3",
            "model_id": "incept_v3",
            "timestamp": TIME,
            "output_scores": SCORES.astype("f4"),
            "class_labels": np.asarray(CLASSES, dtype=object),
            "bin_id": BIN,
            "roi_numbers": ROIS,
        },
        do_compression=packed,
    )
    return Source(path)


def neuston_json(path, *, base=0):
    """`_save_run_results_json`: numbers of classes from 0."""
    path.write_text(
        json.dumps(
            {
                "version": "v3",
                "model_id": "incept_v3",
                "timestamp": TIME,
                "class_labels": CLASSES,
                "output_scores": SCORES.tolist(),
                "output_classes": (SCORES.argmax(axis=1) + base).tolist(),
                "bin_id": BIN,
                "roi_numbers": ROIS,
            }
        )
    )
    return Source(path)


def irfcb_h5(path, *, scores=SCORES, cells=None, thresholds=(0.5, 0.5, 0.4, np.nan), winners=WINNERS):
    """`ifcb_save_classification(format = "h5")`, and the optional dataset of the chain counter."""
    with h5py.File(path, "w") as file:
        file["output_scores"] = scores
        file.create_dataset("class_labels", data=CLASSES, dtype=STRINGS)
        file["roi_numbers"] = np.array(ROIS, dtype="int32")
        file.create_dataset("classifier_name", data=["SMHI NIVA ResNet50 V5"], dtype=STRINGS)
        file.create_dataset("class_name_auto", data=winners, dtype=STRINGS)
        file.create_dataset("class_name", data=DECIDED, dtype=STRINGS)
        file["thresholds"] = np.array(thresholds)
        if cells is not None:
            file["cell_count"] = np.array(cells, dtype="int32")
    return Source(path)


def analysis_mat(path, *, winners=WINNERS, decided=DECIDED, row=False, **more):
    """`bin_classify.m` of ifcb-analysis (class2useTB as a column), or save_class_mat.py of iRfcb (as a row)."""
    names, won, left = (
        np.array(words, dtype=object).reshape(-1, 1) for words in ([*CLASSES, "unclassified"], winners, decided)
    )
    savemat(
        path,
        {
            "class2useTB": names.T if row else names,
            "TBscores": SCORES,
            "roinum": np.array(ROIS, dtype="uint16").reshape(-1, 1),
            "TBclass": won,
            "TBclass_above_threshold": left,
            "classifierName": np.array(["UserExample_Trees"], dtype=object),
        }
        | more,
        do_compression=True,
    )
    return Source(path)


def scores_csv(path, *, digits=None, scores=SCORES):
    """Per-image scores of the dashboard; the old one wrote four digits and quoted pids."""
    cells = [",".join(f"{s:.{digits}f}" if digits else repr(float(s)) for s in line) for line in scores]
    rows = [f'"{name}",{line}' if digits else f"{name},{line}" for name, line in zip(IDS, cells, strict=True)]
    path.write_text("\n".join([",".join(["pid", *CLASSES]), *rows]) + "\n")
    return Source(path)


def labels_csv(path, **columns):
    """`write.csv` of iRfcb and ClassiPyR."""
    names = {"file_name": [f"{name}.png" for name in IDS], "class_name": DECIDED, "class_name_auto": WINNERS}
    pd.DataFrame(names | {"score": SCORES.max(axis=1)} | columns).to_csv(
        path, index=False, na_rep="NA", quoting=csv.QUOTE_NONNUMERIC
    )
    return Source(path)


MODELS = {
    "irfcb": "SMHI NIVA ResNet50 V5",
    "v1": "UserExample_Trees",
    "h5": "incept_v3",
    "mat": "incept_v3",
    "json": "incept_v3",
}
WRITERS = {
    "h5": (neuston_h5, f"{BIN}_class.h5"),
    "mat": (neuston_mat, f"{BIN}_class.mat"),
    "json": (neuston_json, f"{BIN}_class.json"),
    "irfcb": (irfcb_h5, f"{BIN}_class.h5"),
    "v1": (analysis_mat, f"{BIN}_class_v1.mat"),
    "scores": (scores_csv, f"{BIN}_class_scores.csv"),
    "dashboard": (partial(scores_csv, digits=4), f"{BIN}_class.csv"),
    "labels": (labels_csv, f"{BIN}.csv"),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_says_the_same(tmp_path, layout):
    source = WRITERS[layout][0](tmp_path / WRITERS[layout][1])
    assert recognises(source)
    found = read_ifcb_classes([source])
    assert found.object_id.tolist() == found.objects["object_id"].tolist() == IDS
    assert found.objects["label"].tolist() == WINNERS
    assert found.objects[["sample_id", "status"]].drop_duplicates().to_numpy().tolist() == [[BIN, "predicted"]]
    assert found.model_id == MODELS.get(layout, "")
    expected = SCORES if layout != "labels" else np.where(SCORES == SCORES.max(axis=1, keepdims=True), SCORES, 0)
    assert found.prob[:, [found.classes.index(c) for c in CLASSES]] == pytest.approx(
        expected, abs=1e-3 if layout == "h5" else 1e-6
    )
    assert found.objects["score"].to_numpy() == pytest.approx(SCORES.max(axis=1), abs=1e-3)
    assert found.decided.tolist() == (DECIDED if layout in ("irfcb", "v1", "labels") else [None] * 4)
    checks = [(f["severity"], f["check"]) for f in found.findings]
    assert checks == {"h5": [("repaired", "probability sum")], "labels": [("suspicious", "probability sum")]}.get(
        layout, []
    )
    assert found.bins[["sample_id", "n_objects"]].to_numpy().tolist() == [[BIN, 4]]
    assert found.bins["timestamp"].tolist() == [TIME if found.model_id == "incept_v3" else None]


def test_half_precision_is_scaled_and_keeps_its_winner(tmp_path):
    scores = np.random.default_rng(4).dirichlet(np.full(60, 0.1), 300)
    source = neuston_h5(
        tmp_path / f"{BIN}_class.h5", scores=scores, classes=[f"class {i}" for i in range(60)], rois=np.arange(1, 301)
    )
    found = read_ifcb_classes([source])
    assert np.abs(scores.astype("float16").sum(axis=1, dtype=float) - 1).max() > 1e-5
    assert found.prob.sum(axis=1, dtype=float) == pytest.approx(1, abs=1e-6)
    assert [int(label.split()[1]) for label in found.objects["label"]] == scores.argmax(
        axis=1
    ).tolist()  # ties as the file has them


@pytest.mark.parametrize(
    ("write", "name", "base", "expected"),
    [
        (neuston_h5, "_class.h5", 1, "start at 1, not at 0"),
        (neuston_json, "_class.json", 1, "start at 1, not at 0"),
        (neuston_mat, "_class.mat", 0, "start at 0, not at 1"),
    ],
)
def test_classes_counted_from_the_other_end(tmp_path, write, name, base, expected):
    found = read_ifcb_classes([write(tmp_path / (BIN + name), base=base)])
    assert found.objects["label"].tolist() == WINNERS
    assert [f["check"] for f in found.findings if expected in f["message"]] == ["class numbers"]
    with pytest.raises(
        UserError,
        match=r"image 2: 'output_classes' is .*, the highest score has . \('Ciliophora'\); 4 of 4 images differ",
    ):
        read_ifcb_classes([write(tmp_path / (BIN + name), base=3)])


def test_threshold_keeps_the_winner_beside_the_label(tmp_path):
    """A class over its own threshold may be another one than that of the highest score (bin_classify.m)."""
    decided = ["Ciliophora", "Chaetoceros_chain", "Ciliophora", "Pseudo-nitzschia"]
    found = read_ifcb_classes([analysis_mat(tmp_path / f"{BIN}_class_v1.mat", decided=decided, row=True)])
    assert found.objects["label"].tolist() == WINNERS
    assert found.decided.tolist() == decided
    told = read_ifcb_classes([irfcb_h5(tmp_path / f"{BIN}_class.h5")]).thresholds.set_index("class")["threshold"]
    assert told[CLASSES].tolist() == pytest.approx([0.5, 0.5, 0.4, np.nan], nan_ok=True)


@pytest.mark.parametrize("write", [irfcb_h5, analysis_mat, labels_csv], ids=lambda w: w.__name__)
def test_cells_that_were_not_counted_are_missing_and_none_found_is_zero(tmp_path, write):
    cells, name = [-1, 8, 0, -1], {irfcb_h5: "_class.h5", analysis_mat: "_class_v1.mat", labels_csv: ".csv"}[write]
    more = (
        {"cells": cells}
        if write is irfcb_h5
        else {"cell_count": np.array(cells).reshape(-1, 1) if write is analysis_mat else cells}
    )
    found = read_ifcb_classes([write(tmp_path / (BIN + name), **more)])
    assert found.objects["n_individuals"].tolist() == [pd.NA, 8, 0, pd.NA]
    assert "1 images were counted and no cell was found" in next(
        f["message"] for f in found.findings if f["check"] == "cell count"
    )


def test_empty_cells_of_a_table_of_labels(tmp_path):
    names = {"class_name": ["unclassified", None, *DECIDED[2:]], "class_name_auto": [WINNERS[0], None, *WINNERS[2:]]}
    source = labels_csv(
        tmp_path / f"{BIN}.csv",
        score=[0.3, None, 0.4, 0.9],
        cell_count=pd.array([None, 1, 2, -1], dtype="Int64"),
        **names,
    )
    found = read_ifcb_classes([source])
    assert found.objects["status"].tolist() == ["predicted", "unclassified", "predicted", "predicted"]
    assert found.objects["label"].tolist() == ["Ciliophora", pd.NA, *WINNERS[2:]]
    assert found.objects["n_individuals"].tolist() == [pd.NA, 1, 2, pd.NA]
    assert found.prob.sum(axis=1) == pytest.approx([0.3, 0, 0.4, 0.9])
    assert found.decided[1] is None


def test_a_bin_in_several_files_is_used_once(tmp_path):
    sources = [
        labels_csv(tmp_path / f"{BIN}.csv", cell_count=[4, -1, -1, 2]),
        scores_csv(tmp_path / f"{BIN}_class_scores.csv"),
        analysis_mat(tmp_path / f"{BIN}_class_v1.mat"),
        neuston_h5(tmp_path / f"{BIN}_class.h5"),
    ]
    alone = read_ifcb_classes(sources[2:3])
    for order in (sources, sources[::-1]):
        found = read_ifcb_classes(order)
        assert found.object_id.tolist() == IDS  # four files, each image once
        assert (found.prob == alone.prob).all()
        assert found.bins["file"].tolist() == [str(sources[2])]
        assert found.objects["n_individuals"].tolist() == [4, pd.NA, pd.NA, 2]  # only the table of labels counts cells
        duplicates = [f for f in found.findings if f["check"] == "duplicate"]
        assert len(duplicates) == 3
        assert {f["severity"] for f in duplicates} == {"repaired"}
    other = scores_csv(tmp_path / f"{BIN}_class.csv", scores=SCORES[:, ::-1])
    found = read_ifcb_classes([sources[2], other])
    assert [(f["severity"], "4 images differ" in f["message"]) for f in found.findings] == [("suspicious", True)]


def test_several_bins_with_classes_in_another_order(tmp_path):
    turn = [2, 0, 3, 1]
    one = neuston_h5(tmp_path / f"{BIN}_class.h5")
    two = neuston_h5(
        tmp_path / f"{OTHER}_class.h5", bin_id=OTHER, scores=SCORES[:, turn], classes=[CLASSES[i] for i in turn]
    )
    empty = neuston_h5(
        tmp_path / "D20220522T003052_IFCB134_class.h5", bin_id="D20220522T003052_IFCB134", scores=SCORES[:0], rois=[]
    )
    found = read_ifcb_classes([two, one, empty])
    assert found.bins.set_index("sample_id")["n_objects"].to_dict() == {BIN: 4, "D20220522T003052_IFCB134": 0, OTHER: 4}
    assert (found.prob[:4] == found.prob[4:]).all()
    with pytest.raises(
        UserError, match="model 'b' is not the 'incept_v3' of .*; read the files of each of the 2 models"
    ):
        read_ifcb_classes([one, neuston_h5(tmp_path / f"{OTHER}_class.h5", bin_id=OTHER, model="b")])
    with pytest.raises(UserError, match="its 3 classes are not the 4 of .*, 'Ciliophora' is in one"):
        read_ifcb_classes(
            [one, neuston_h5(tmp_path / f"{OTHER}_class.h5", bin_id=OTHER, scores=SCORES[:, 1:], classes=CLASSES[1:])]
        )


def test_images_without_a_bin_are_named_by_their_files(tmp_path):
    names = [f"run/{BIN}_{roi:05d}.png" for roi in ROIS[:2]] + [f"{OTHER}_{roi:05d}.png" for roi in ROIS[2:]]
    found = read_ifcb_classes([neuston_h5(tmp_path / "img_results.h5", images=names)])
    assert sorted(found.object_id) == sorted(name.rpartition("/")[2].removesuffix(".png") for name in names)
    assert recognises(Source(tmp_path / "img_results.h5"))
    with pytest.raises(UserError, match="image 1: 'cat.png' is not the name of an IFCB image"):
        read_ifcb_classes([neuston_h5(tmp_path / "img_results.h5", images=["cat.png"] * 4)])


def test_four_digits_of_many_classes(tmp_path):
    """300 classes rounded to four digits can be 1.5 % off 1; that is rounding, 10 % is not."""
    source = tmp_path / f"{BIN}_class_scores.csv"
    header = ",".join(["pid", *(f"c{i}" for i in range(300))])
    source.write_text(f"{header}\n{IDS[0]}," + ",".join(["0.0034"] * 298 + ["0.0000"] * 2) + "\n")
    found = read_ifcb_classes([Source(source)])
    assert (found.prob.sum(), "1 rows of scores with four" in found.findings[0]["message"]) == (
        pytest.approx(1, abs=1e-6),
        True,
    )
    source.write_text(f"{header}\n{IDS[0]}," + ",".join(["0.0037"] * 300) + "\n")
    with pytest.raises(UserError, match=r"image 2: the scores add up to 1.11, allowed is at most 1"):
        read_ifcb_classes([Source(source)])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda p: irfcb_h5(p, winners=WINNERS[::-1]),
            "4 of 4 images are told to be another class .* 'Pseudo-nitzschia', not 'Ciliophora'",
        ),
        (lambda p: irfcb_h5(p, scores=SCORES.T[:, :3]), r"shape \(4, 3\), needed are 4 images by 4 classes"),
        (
            lambda p: irfcb_h5(p, scores=np.log(SCORES)),
            r"image 2, class 'Ciliophora': score -0.356675 is outside \[0, 1\]; 16 such",
        ),
        (
            lambda p: irfcb_h5(p, scores=np.where(SCORES == 0.9, np.nan, SCORES)),
            "image 3, class 'Chaetoceros_chain': score nan is outside",
        ),
        (lambda p: irfcb_h5(p, cells=[-2, 0, 0, 0]), "image 2: 'cell_count' -2 is no number of cells"),
        (lambda p: irfcb_h5(p, cells=[1]), "'cell_count' has 1 values, needed are as many as images, 4"),
        (lambda p: irfcb_h5(p, thresholds=[1]), "'thresholds' has 1 values, needed are as many as classes, 4"),
        (lambda p: neuston_h5(p, rois=[1, 1, 2, 3]), f"image '{BIN}_00001' stands more than once"),
        (lambda p: neuston_h5(p, rois=[0, 1, 2, 3]), "image number 0 is not"),
        (lambda p: neuston_h5(p, bin_id=OTHER), f"the file says bin '{OTHER}', its name another one"),
        (lambda p: neuston_h5(p, classes=[*CLASSES[:3], CLASSES[0]]), "class 'Ciliophora' stands 2 times"),
    ],
    ids=range(11),
)
def test_what_is_wrong_is_named(tmp_path, spoil, message):
    with pytest.raises(UserError, match=message) as error:
        read_ifcb_classes([spoil(tmp_path / f"{BIN}_class.h5")])
    assert f"{BIN}_class.h5" in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (f"{BIN}.csv", "file_name,class_name\n", None),
        (f"{BIN}.csv", "file,class\n", "needed is 'pid' and one column per class"),
        (
            f"{BIN}.csv",
            f"file_name,class_name,score\n{BIN}_00001.png,a,high\n",
            "row 2, column 'score': 'high' is not a number",
        ),
        (f"{BIN}.csv", f"file_name,class_name\n{OTHER}_00001.png,a\n", f"is not an image of bin {BIN}"),
        (f"{BIN}_class.csv", f"pid,a\n{BIN}_00001,1,2\n", "row 2 has 3 cells, the header has 2"),
        (f"{BIN}_class.csv", "pid,a,a\n", "column 'a' stands 2 times"),
        (f"{BIN}_class.json", "[1]", "the content is a list"),
        (f"{BIN}_class.json", '{"class_labels": [["a"]]}', "'output_scores' is missing"),
        (f"{BIN}_class.json", '{"class_labels": [{}], "output_scores": [[1], [1, 2]]}', "not readable"),
        (f"{BIN}_class.mat", "text", "are no MATLAB file of version 5 to 7"),
        (f"{BIN}_class.mat", "MATLAB 7.3 MAT-file", "of version 7.3"),
        (f"{BIN}_class.h5", "", "cannot be read"),
        (f"{BIN}_class.txt", "", "a file of the kind 'txt'"),
    ],
)
def test_wrong_text_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    if message is None:
        assert read_ifcb_classes([Source(tmp_path / name)]).bins["n_objects"].tolist() == [0]
        return
    with pytest.raises(UserError, match=message):
        read_ifcb_classes([Source(tmp_path / name)])


def test_a_manual_annotation_is_no_classification(tmp_path):
    savemat(
        tmp_path / f"{BIN}.mat", {"classlist": np.zeros((3, 3)), "class2use_manual": np.array(CLASSES, dtype=object)}
    )
    assert not recognises(Source(tmp_path / f"{BIN}.mat"))
    for name in (f"{BIN}_fea_v2.csv", f"{BIN}.csv", "notes.json", "cube.h5"):
        (tmp_path / name).write_text("roi_number,Area\n1,2\n")
        assert not recognises(Source(tmp_path / name)), name


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return {
        layout: write(folder / f"{layout}.{name.rpartition('.')[2]}").path.read_bytes()
        for layout, (write, name) in WRITERS.items()
    }


@settings(deadline=None, max_examples=150)
@given(data=st.data(), layout=st.sampled_from(sorted(WRITERS)))
def test_damaged_files_give_their_images_or_one_sentence(tmp_path_factory, written, data, layout):
    raw = bytearray(written[layout])
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    raw = raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))]
    path = tmp_path_factory.getbasetemp() / WRITERS[layout][1]
    path.write_bytes(raw)
    try:
        found = read_ifcb_classes([Source(path)])
    except UserError as error:
        assert (len(str(error).splitlines()), WRITERS[layout][1] in str(error)) == (1, True)
        return
    assert found.prob is None or (
        np.isfinite(found.prob).all() and (found.prob >= 0).all() and (found.prob.sum(axis=1) <= 1 + 1e-3).all()
    )
    assert len(set(found.object_id)) == len(found.objects)
    assert found.objects["score"].dropna().between(0, 1 + 1e-3).all()
