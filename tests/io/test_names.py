"""What file names tell by the conventions we know."""

import time

import numpy as np
import pytest

from histoclf.io import read_names


def test_idc():
    info = read_names(["data/0/8863_idx5_x51_y1251_class0.png", "C:\\data\\1\\8863_idx5_x101_y1_class1.PNG"])
    assert info.convention == "IDC"
    assert info.groups.tolist() == ["8863", "8863"]
    assert info.labels.tolist() == ["0", "1"]
    assert info.coords.dtype == np.float64
    assert info.coords.tolist() == [[51, 1251], [101, 1]]
    assert info.magnifications is None


def test_breakhis():
    info = read_names(["SOB_B_A-14-22549AB-400-001.png", "SOB_M_DC-14-2523-40-010.png"])
    assert info.convention == "BreaKHis"
    assert info.groups.tolist() == ["14-22549AB", "14-2523"]
    assert info.labels.tolist() == ["benign", "malignant"]
    assert info.magnifications.tolist() == [400, 40]
    assert info.coords is None


def test_tcga_barcodes_with_text_around_them():
    names = [
        "TCGA-A1-A0SB-01Z-00-DX1.1f2d_100_200.png",
        "blk-AAAHKMTFYMRW-TCGA-A6-2671-01Z-00-DX1.jpg",
        "TCGA-AA-3977.tif",
    ]
    info = read_names(names)
    assert info.convention == "TCGA"
    assert info.groups.tolist() == ["TCGA-A1-A0SB", "TCGA-A6-2671", "TCGA-AA-3977"]
    assert info.labels is None


def test_what_only_looks_like_a_barcode_is_none():
    assert read_names(["NORM-TCGA-CEQVKIYG.jpg"]) is None
    assert read_names(["TCGA-A1-A0SBX-01.jpg"]) is None


def test_kather_textures_and_osteosarcoma():
    kather = read_names(
        ["10A0_CRC-Prim-HE-05_032.tif_Row_1051_Col_1501.tif", "1A62_CRC-Prim-HE-07.tif_Row_1_Col_1.tif"]
    )
    assert kather.groups.tolist() == ["CRC-Prim-HE-05", "CRC-Prim-HE-07"]
    assert "slide is taken for one" in kather.note
    bone = read_names(["Case-3-A15-2939-11262.jpg", "Case-48-P5-C23-47339-30578.jpg"])
    assert bone.groups.tolist() == ["Case-3", "Case-48"]


@pytest.mark.parametrize(
    "paths",
    [
        [],
        ["holiday.jpg"],
        ["8863_idx5_x51_y1251_class1.png", "holiday.jpg"],
        ["8863_idx5_x51_y1251_class1.png", "SOB_B_A-14-22549AB-400-001.png"],
        ["Normal_100x_1.jpg"],
        ["no_extension"],
    ],
)
def test_nothing_is_said_unless_every_name_follows_one_convention(paths):
    assert read_names(paths) is None


def test_many_names_are_read_quickly():
    paths = [f"root/{n % 200}/{n % 2}/{n % 200}_idx5_x{n}_y{n + 1}_class{n % 2}.png" for n in range(50_000)]
    start = time.process_time()
    info = read_names(np.array(paths, dtype=object))
    assert time.process_time() - start < 3  # about 0.2 s
    assert len(np.unique(info.groups)) == 200


@pytest.mark.real_data
def test_real_names(real_data):
    info = read_names(str(path) for path in sorted((real_data / "idc_breast").rglob("*.png")))
    assert len(np.unique(info.groups)) == 14
    assert info.coords.shape == (5980, 2)
