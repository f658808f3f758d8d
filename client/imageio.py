"""Images and masks on disk: the one file that opens them.

SimpleITK speaks of (x, y, z); everywhere else axes are (z, y, x). They are turned round
here and nowhere else. Reads NIfTI, NRRD, MetaImage and folders with one DICOM series;
scale factors of a file are applied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK
from numpy.typing import NDArray

# Its functions carry no types, so it is looked at through Any, here only.
sitk: Any = SimpleITK

Voxels = NDArray[Any]
Vector = tuple[float, float, float]
Order = tuple[int, int, int]
Flips = tuple[bool, bool, bool]

# Patient coordinates are DICOM's: x to the left, y to the back, z to the head.
_TOWARDS = {
    "L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0),
    "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the voxels of an array lie in the patient.

    Attributes:
        shape: number of voxels, (z, y, x).
        spacing_mm: voxel size, (z, y, x).
        origin_mm: patient coordinates (left, back, head) of the first voxel.
        axes: for each array axis, z first, the unit vector it runs along.
    """

    shape: tuple[int, int, int]
    spacing_mm: Vector
    origin_mm: Vector
    axes: tuple[Vector, Vector, Vector]

    def point_mm(self, index: Sequence[float]) -> Vector:
        """Return the patient coordinates of a voxel, (z, y, x); may lie outside."""
        steps = np.multiply(index, self.spacing_mm) @ np.array(self.axes)
        x, y, z = (np.array(self.origin_mm) + steps).tolist()
        return x, y, z

    def matches(self, other: "Grid", tolerance: float = 0.1) -> bool:
        """Return whether no corner lies more than a share of a voxel from its like."""
        if self.shape != other.shape:
            return False
        ends = [np.multiply(corner, self.shape).tolist() for corner in np.ndindex(2, 2, 2)]
        apart = [np.subtract(self.point_mm(e), other.point_mm(e)) for e in ends]
        far = float(np.max(np.abs(apart)))
        return far <= tolerance * min(self.spacing_mm)


@dataclass(frozen=True, slots=True)
class Volume:
    """Voxels (Z, Y, X) and where they lie."""

    voxels: Voxels
    grid: Grid


@dataclass(frozen=True, slots=True)
class Turn:
    """A change of the order and direction of axes; loses nothing.

    Attributes:
        order: for each new axis, the old one.
        flips: whether each new axis runs backwards.
    """

    order: Order
    flips: Flips

    def of(self, voxels: Voxels) -> Voxels:
        """Return voxels (..., Z, Y, X) turned; a view."""
        lead = tuple(range(voxels.ndim - 3))
        turned = voxels.transpose(*lead, *(len(lead) + o for o in self.order))
        found: Voxels = turned[_backwards(self.flips)]
        return found

    def back(self, voxels: Voxels) -> Voxels:
        """Undo `of`."""
        lead = tuple(range(voxels.ndim - 3))
        inverse = (len(lead) + int(o) for o in np.argsort(self.order))
        found: Voxels = voxels[_backwards(self.flips)].transpose(*lead, *inverse)
        return found

    def of_grid(self, grid: Grid) -> Grid:
        """Return the grid on which turned voxels lie where they were."""
        first = [0.0, 0.0, 0.0]
        for axis, flip in zip(self.order, self.flips, strict=True):
            first[axis] = grid.shape[axis] - 1 if flip else 0
        signs = np.where(self.flips, -1.0, 1.0)[:, None]
        axes = np.array(grid.axes)[list(self.order)] * signs
        a, b, c = self.order
        return Grid(
            (grid.shape[a], grid.shape[b], grid.shape[c]),
            (grid.spacing_mm[a], grid.spacing_mm[b], grid.spacing_mm[c]),
            grid.point_mm(tuple(first)),
            _vectors(axes),
        )


def turn_to(grid: Grid, orientation: str) -> Turn:
    """Return the turn after which a grid's axes run best towards an orientation.

    Args:
        grid: of the image as stored; may be oblique.
        orientation: where x, y and z shall run to, such as "RAS", or "as_stored".
    """
    if orientation == "as_stored":
        return Turn((0, 1, 2), (False, False, False))
    wanted = np.array([_TOWARDS[letter] for letter in reversed(orientation)], float)
    along = wanted @ np.array(grid.axes).T
    a, b, c = max(permutations(range(3)), key=lambda p: sum(abs(along[range(3), list(p)])))
    flips = along[0, a] < 0, along[1, b] < 0, along[2, c] < 0
    return Turn((a, b, c), (bool(flips[0]), bool(flips[1]), bool(flips[2])))


def read_image(path: Path) -> Volume:
    """Return an image; a file of a single slice has one voxel along z.

    Args:
        path: a file, or a folder with one DICOM series.

    Raises:
        ValueError: the file is no image in 2 or 3 dimensions with one value a voxel,
            or the folder holds no series or several.
    """
    image = _read(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        n = image.GetNumberOfComponentsPerPixel()
        raise ValueError(f"{path.name}: expected one value a voxel, got {n}")
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    if image.GetDimension() != 3:
        n = image.GetDimension()
        raise ValueError(f"{path.name}: expected 2 or 3 dimensions, got {n}")
    return Volume(sitk.GetArrayFromImage(image), _grid(image))


def header_problem(path: Path) -> str:
    """Return why an image's header cannot be read, or ""; its voxels are not looked at."""
    try:
        names = [str(path)] if not path.is_dir() else _series(path)
        reader = sitk.ImageFileReader()
        reader.SetFileName(names[0])
        reader.ReadImageInformation()
    except (RuntimeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return str(lines[-1])[:200] if lines else type(error).__name__
    return ""


def read_slices(files: Sequence[Path]) -> Volume:
    """Return the volume of DICOM files, one a slice, in this order.

    Raises:
        RuntimeError: they are no volume.
    """
    image = sitk.ReadImage([str(file) for file in files])
    return Volume(sitk.GetArrayFromImage(image), _grid(image))


def to_sitk(volume: Volume) -> Any:
    """Return a volume as SimpleITK's image, for libraries that take nothing else."""
    return _image(volume)


def write_image(path: Path, volume: Volume) -> None:
    """Write a volume; the format follows from the name, such as .nii.gz."""
    sitk.WriteImage(_image(volume), str(path), useCompression=True)


def resample(
    volume: Volume, onto: Grid, *, how: Literal["linear", "label"], outside: float
) -> Voxels:
    """Return a volume's values at the voxels of another grid.

    Args:
        volume: float32 for "linear", whole numbers for "label".
        onto: where values are wanted.
        how: "label" gives each voxel the label with the largest linear weight.
        outside: the value beyond the volume.
    """
    kind = sitk.sitkLinear if how == "linear" else sitk.sitkLabelLinear
    frame = sitk.ResampleImageFilter()
    frame.SetSize(onto.shape[::-1])
    frame.SetOutputSpacing(onto.spacing_mm[::-1])
    frame.SetOutputOrigin(onto.origin_mm)
    frame.SetOutputDirection(np.array(onto.axes)[::-1].T.ravel().tolist())
    frame.SetInterpolator(kind)
    frame.SetDefaultPixelValue(outside)
    found: Voxels = sitk.GetArrayFromImage(frame.Execute(_image(volume)))
    return found


def _read(path: Path) -> Any:
    if not path.is_dir():
        return sitk.ReadImage(str(path))
    return sitk.ReadImage(_series(path))


def _series(path: Path) -> Any:
    """Return the files of the one DICOM series in a folder, in order."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(path))
    if len(series) != 1:
        n = len(series)
        raise ValueError(f"{path.name}: expected a folder with one DICOM series, got {n}")
    return sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path), series[0])


def _grid(image: Any) -> Grid:
    nx, ny, nz = image.GetSize()
    sx, sy, sz = image.GetSpacing()
    columns = np.array(image.GetDirection()).reshape(3, 3).T
    return Grid((nz, ny, nx), (sz, sy, sx), image.GetOrigin(), _vectors(columns[::-1]))


def _image(volume: Volume) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.voxels))
    image.SetSpacing(volume.grid.spacing_mm[::-1])
    image.SetOrigin(volume.grid.origin_mm)
    image.SetDirection(np.array(volume.grid.axes)[::-1].T.ravel().tolist())
    return image


def _vectors(rows: NDArray[np.float64]) -> tuple[Vector, Vector, Vector]:
    a, b, c = ((float(x), float(y), float(z)) for x, y, z in rows)
    return a, b, c


def _backwards(flips: Flips) -> Any:
    return (..., *(slice(None, None, -1 if flip else None) for flip in flips))
