"""A DICOM tree becomes a cohort: real series, RTSTRUCT and SEG against known masks."""

from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, FileDataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, RTStructureSetStorage, generate_uid

from client.imageio import read_image
from client.ingest.dicom import Plan, import_dicom
from common.errors import ConfigError

PLAN = Plan({"t1": "MR *"}, {"tumour": ("t1", "GTV*")})


def write_slice(path: Path, series: str, z: float, *, study: str = "1.2.3") -> FileDataset:
    """Write a slice of 12 x 10 pixels of 2 x 1.5 mm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID, data.SeriesDescription = "MR", "p1", "T1 tra"
    data.SeriesInstanceUID, data.StudyInstanceUID = series, study
    data.FrameOfReferenceUID = "1.2.9"
    data.PatientName = data.PatientBirthDate = data.PatientSex = data.AccessionNumber = ""
    data.StudyID = data.StudyDate = data.StudyTime = data.ReferringPhysicianName = ""
    data.ImagePositionPatient, data.ImageOrientationPatient = [-10, -8, z], [1, 0, 0, 0, 1, 0]
    data.PixelSpacing, data.SliceThickness = [1.5, 2.0], 3.0
    data.Rows, data.Columns, data.SamplesPerPixel = 10, 12, 1
    data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    pixels = np.full((10, 12), int(z), np.uint16)
    pixels[0, 0] = 7
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)
    return data


def write_contours(path: Path, series: str, contours: list[list[float]]) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.Modality, data.PatientID = "RTSTRUCT", "p1"
    refers, study, frame, roi, drawn = (Dataset() for _ in range(5))
    refers.SeriesInstanceUID = series
    study.RTReferencedSeriesSequence = [refers]
    frame.RTReferencedStudySequence = [study]
    data.ReferencedFrameOfReferenceSequence = [frame]
    roi.ROINumber, roi.ROIName = 4, "GTV 1"
    data.StructureSetROISequence = [roi]
    drawn.ReferencedROINumber, drawn.ContourSequence = 4, []
    for points in contours:
        contour = Dataset()
        contour.ContourGeometricType, contour.ContourData = "CLOSED_PLANAR", points
        drawn.ContourSequence.append(contour)
    data.ROIContourSequence = [drawn]
    data.save_as(path, enforce_file_format=True)


def square(z: float, low: float, high: float) -> list[float]:
    return [low, low, z, high, low, z, high, high, z, low, high, z]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    for i in range(5):  # names in no order of the slices
        write_slice(folder / f"{(i * 3) % 5}.dcm", "1.2.4", 30.0 + 3 * i)
    outer, inner = square(36, -7, 3), square(36, -3, -1)
    write_contours(folder / "rs.dcm", "1.2.4", [outer, inner, square(33, -7, 3), square(99, 0, 1)])
    (folder / "readme.txt").write_text("no DICOM")
    return folder


def test_contours_are_filled_by_voxel_centres_and_inner_ones_are_holes(
    tree: Path, tmp_path: Path
) -> None:
    report = import_dicom(tree, tmp_path / "out", PLAN)
    image = read_image(tmp_path / "out" / "images" / "p1_t1.nii.gz")
    mask = read_image(tmp_path / "out" / "images" / "p1_tumour.nii.gz").voxels
    assert image.voxels[:, 5, 5].tolist() == [30, 33, 36, 39, 42]
    y, x = -8 + 1.5 * np.arange(10)[:, None], -10 + 2.0 * np.arange(12)[None, :]
    outer = (x > -7) & (x < 3) & (y > -7) & (y < 3)
    inner = (x > -3) & (x < -1) & (y > -3) & (y < -1)
    assert inner.any()
    np.testing.assert_array_equal(mask[1], outer)
    np.testing.assert_array_equal(mask[2], outer & ~inner)
    assert not mask[[0, 3, 4]].any()
    assert "1 contours lie beyond the first or last slice" in str(report)
    assert "1 files were no DICOM" in str(report)


def test_a_segment_is_the_same_region(tree: Path, tmp_path: Path) -> None:
    import_dicom(tree, tmp_path / "by_contour", PLAN)
    truth = read_image(tmp_path / "by_contour" / "images" / "p1_tumour.nii.gz").voxels
    slices = [dcmread(path) for path in tree.glob("?.dcm")]
    slices.sort(key=lambda d: float(d.ImagePositionPatient[2]))
    code = highdicom.sr.CodedConcept("85756007", "SCT", "Tissue")
    described = highdicom.seg.SegmentDescription(
        segment_number=1, segment_label="GTV seg", segmented_property_category=code,
        segmented_property_type=code, algorithm_type="MANUAL",
    )  # fmt: skip
    seg = highdicom.seg.Segmentation(
        source_images=slices, pixel_array=truth.astype(np.uint8), segmentation_type="BINARY",
        segment_descriptions=[described], series_instance_uid=generate_uid(), series_number=9,
        sop_instance_uid=generate_uid(), instance_number=1, manufacturer="x",
        manufacturer_model_name="x", software_versions="1", device_serial_number="1",
    )  # fmt: skip
    seg.save_as(tree / "seg.dcm")
    import_dicom(tree, tmp_path / "by_segment", PLAN)
    found = read_image(tmp_path / "by_segment" / "images" / "p1_tumour.nii.gz").voxels
    np.testing.assert_array_equal(found, truth)


def test_two_series_that_fit_and_a_missing_slice_are_named(tree: Path, tmp_path: Path) -> None:
    write_slice(tree / "other.dcm", "1.2.5", 30.0, study="1.2.8")
    with pytest.raises(ConfigError, match=r'2 series fit "t1".*--case study'):
        import_dicom(tree, tmp_path / "out", PLAN)
    (tree / "other.dcm").unlink()
    next(p for p in tree.glob("?.dcm") if dcmread(p).ImagePositionPatient[2] == 36).unlink()
    with pytest.raises(ConfigError, match=r"slices are 3.00 mm apart, but two of them 6.00 mm"):
        import_dicom(tree, tmp_path / "out", PLAN)
    assert not (tmp_path / "out").exists()


def test_patterns_that_fit_nothing_say_what_there_is(tree: Path, tmp_path: Path) -> None:
    plan = Plan({"t1": "MR *", "ct": "CT *"}, {"tumour": ("t1", "CTV*")})
    with pytest.raises(ConfigError) as caught:
        import_dicom(tree, tmp_path / "out", plan)
    assert 'no series fits "CT *"; there are: MR T1 tra' in str(caught.value)
    assert 'no region fits "CTV*"; there are: GTV 1' in str(caught.value)


@pytest.mark.realdata
@pytest.mark.parametrize("prefer", ["rtstruct", "seg"])
def test_sarcoma_series_and_masks_equal_the_published_nifti(
    shared_data: Path, tmp_path: Path, prefer: str
) -> None:
    sts = shared_data / "sts"
    plan = Plan({"t1": "MR *"}, {"tumour": ("t1", "GTV*")}, "patient", prefer)  # type: ignore[arg-type]
    import_dicom(sts / "dicom", tmp_path, plan)
    for case in ("STS_002", "STS_025"):
        for made, known in (("t1", f"images/{case}_MR_T1"), ("tumour", f"masks/{case}_MR_T1_mask")):
            found = read_image(tmp_path / "images" / f"{case}_{made}.nii.gz")
            truth = read_image(sts / f"{known}.nii.gz")
            np.testing.assert_array_equal(found.voxels, truth.voxels)
            assert found.grid.matches(truth.grid)
