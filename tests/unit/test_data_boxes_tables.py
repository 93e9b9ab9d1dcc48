"""Boxes of a table: a row each."""

from pathlib import Path

import pytest

from annotated import HEAD, SIDEWAYS, cells, found, kinds, picture, splits, the
from foveal.data import open_source
from foveal.data.sources.layout import Layout
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import SourceError
from foveal.types import Reading


def table(*rows: str, head: str = HEAD, reading: Reading = AS_FOUND) -> Layout:
    return found({"boxes.csv": "\n".join([head, *rows]), "1.png": picture(), "images/2.png": picture()}, reading)


def test_a_row_is_a_box_and_an_empty_one_an_image_without() -> None:
    layout = table("1.png,cat,0,0,100,80", "1.png,dog,10.5,20,30,40", "2.png,,,,,")
    assert cells(layout) == {"1.png": [["cat", 0, 0, 100, 80], ["dog", 10.5, 20, 30, 40]], "images/2.png": []}
    assert layout.columns == ("boxes",)
    assert not layout.findings
    assert [entry.where for entry in layout.entries] == ["boxes.csv, line 2", "boxes.csv, line 4"]


HEADS = [
    ("path,label,x_min,y_min,x_max,y_max", "1.png,cat,10,20,30,60"),
    ("Image,Class,XMin,YMin,XMax,YMax", "1.png,cat,10,20,30,60"),
    ("filename,width,height,class,xmin,ymin,xmax,ymax", "1.png,100,80,cat,10,20,30,60"),
    ("path,x0,y0,x1,y1,label", "1.png,10,20,30,60,cat"),
    ("path;x1;y1;x2;y2;class_name", "1.png;10;20;30;60;cat"),
    ("label\tleft\ttop\tright\tbottom\tpath", "cat\t10\t20\t30\t60\t1.png"),
    ("path,label,x,y,width,height", "1.png,cat,10,20,20,40"),
    ("path,label,x,y,w,h", "1.png,cat,10,20,20,40"),
    ("file,category,bbox_x,bbox_y,bbox_width,bbox_height", "1.png,cat,10,20,20,40"),
    ("path,label,XMin,XMax,YMin,YMax", "1.png,cat,0.1,0.3,0.25,0.75"),
]


@pytest.mark.parametrize(("head", "row"), HEADS)
def test_columns_of_many_names(head: str, row: str) -> None:
    assert cells(table(row, head=head)) == {"1.png": [["cat", 10, 20, 30, 60]]}


def test_a_size_in_a_table_is_compared() -> None:
    layout = table("1.png,200,80,cat,10,20,30,60", head="filename,width,height,class,xmin,ymin,xmax,ymax")
    assert "boxes.csv, line 2 (200×80, the image is 100×80)" in the("size-differs", layout).message


def test_splits_and_groups_of_a_table() -> None:
    layout = table(
        "1.png,cat,0,0,10,10,train,p1",
        "1.png,cat,20,0,30,10,train,p1",
        "2.png,dog,0,0,10,10,val,p2",
        head=f"{HEAD},split,patient",
    )
    assert splits(layout) == {"1.png": "train", "images/2.png": "validation"}
    assert [entry.group for entry in layout.entries] == ["p1", "p2"]
    said = table("1.png,cat,0,0,9,9,cam", head=f"{HEAD},from", reading=Reading(group="from"))
    assert said.entries[0].group == "cam"


def test_folders_of_splits_with_a_table_each() -> None:
    names = ("train", "valid")
    tables = {f"{name}/_annotations.csv": f"{HEAD}\n1.png,cat,0,0,9,9" for name in names}
    layout = found({**tables, **{f"{name}/1.png": picture() for name in names}})
    assert splits(layout) == {"train/1.png": "train", "valid/1.png": "validation"}


WRONG_ROWS = [  # a row, kind, what the message says
    ("1.png,cat,30,40,10,20", "inverted-box", "boxes.csv, line 3 (cat 30, 40, 10, 20)"),
    ("1.png,cat,30,40,30,50", "empty-box", "boxes.csv, line 3"),
    ("1.png,cat,30,40,130,50", "outside-box", "boxes.csv, line 3"),
    ("1.png,cat,300,40,330,50", "outside-box", "wholly outside"),
    ("1.png,cat,0,0,100,80", "repeated-box", "boxes.csv, line 3 (cat)"),
    ("1.png,cat,30,40,,50", "wrong-box", "line 3 ('30', '40', nothing, '50')"),
    ("1.png,cat,,,,", "wrong-box", "line 3"),
    ("1.png,cat,nan,0,1,1", "wrong-box", "'nan'"),
    ("1.png,,30,40,50,60", "unknown-class", "line 3 (nothing)"),
    ("1.png,cat,1,2,3", "wrong-row", "fewer cells than the header (1): boxes.csv, line 3"),
    ("1.png,cat,1,2,3,4,5", "wrong-row", "more cells than the header"),
    (",cat,1,2,3,4", "wrong-row", "rows that name no file"),
    ("3.png,cat,1,2,3,4", "missing-file", "line 3 ('3.png')"),
]


@pytest.mark.parametrize(("row", "kind", "message"), WRONG_ROWS)
def test_a_wrong_row(row: str, kind: str, message: str) -> None:
    layout = table("1.png,cat,0,0,100,80", row, "2.png,dog,0,0,9,9")
    assert cells(layout)["1.png"][0] == ["cat", 0, 0, 100, 80]
    assert cells(layout)["images/2.png"] == [["dog", 0, 0, 9, 9]]
    assert kinds(layout) == {kind}
    assert message in the(kind, layout).message


def test_rows_that_disagree_on_where_an_image_belongs() -> None:
    rows = ("1.png,cat,0,0,9,9,train", "1.png,cat,9,9,20,20,test", "2.png,,,,,,dev", "2.png,cat,0,0,5,5,trian")
    layout = table(*rows, head=f"{HEAD},split")
    assert splits(layout) == {"images/2.png": "validation"}
    assert "boxes.csv, lines 2, 3" in the("contradicting-row", layout).message
    assert "line 5 ('trian')" in the("wrong-row", layout).message


def test_a_target_that_is_said_is_learned_instead(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(picture())
    (tmp_path / "boxes.csv").write_text(f"{HEAD}\n1.png,cat,0,0,9,9\n")
    source = open_source(tmp_path / "boxes.csv", Reading(target=("label",)))
    assert source.columns == ("label",)
    assert open_source(tmp_path / "boxes.csv").columns == ("boxes",)


def test_a_table_on_the_disk(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/1.jpg").write_bytes(picture(kind="JPEG", orientation=SIDEWAYS))
    (tmp_path / "2.png").write_bytes(picture())
    (tmp_path / "3.png").write_bytes(b"broken")
    path = tmp_path / "boxes.csv"
    path.write_text(f"{HEAD}\n1.jpg,cat,0,0,90,100\n3.png,cat,0,0,900,9\n4.png,cat,0,0,9,9\n")
    source = open_source(path)
    assert cells(source) == {"3.png": [["cat", 0, 0, 900, 9]], "images/1.jpg": [["cat", 0, 0, 80, 100]]}
    told = {finding.kind: finding for finding in source.findings}
    assert set(told) == {"missing-annotation", "missing-file", "outside-box"}
    assert told["missing-annotation"].files == ("2.png",)
    assert f"(looked in {tmp_path} and {tmp_path / 'images'})" in told["missing-file"].message
    before = source.signature
    (tmp_path / "images/1.jpg").write_bytes(picture(50, 50))
    assert open_source(path).signature != before


def test_a_table_of_boxes_without_paths_says_so(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text("photo,label,xmin,ymin,xmax,ymax\n1.png,cat,0,0,9,9\n")
    with pytest.raises(SourceError, match="a column that names the files"):
        open_source(path)
    (tmp_path / "1.png").write_bytes(picture())
    assert cells(open_source(path, Reading(path="photo"))) == {"1.png": [["cat", 0, 0, 9, 9]]}
