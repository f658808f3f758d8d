"""Arrays on the coordinator's disk: a disk that takes no more says so as a disk does."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from server.arrays import read_arrays, write_arrays, write_file


def test_a_full_disk_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("server.arrays.os.fsync", full)
    with pytest.raises(OSError, match=r"No space left.*a\.safetensors") as stopped:
        write_arrays(tmp_path / "a.safetensors", {"w": np.ones(10)})
    assert stopped.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_read_by_safetensors_itself(tmp_path: Path) -> None:
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::2],
        "n": np.array(7),
        "none": np.empty((0, 2)),
        "yes": np.array([True, False, True]),
        "words": np.array([2**64 - 1], np.uint64),
        "half": np.array([[0.5]], np.float16),
    }
    sha256 = write_arrays(tmp_path / "a", arrays)
    assert hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest() == sha256
    found = load_file(tmp_path / "a")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_a_file_that_was_changed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    sha256 = write_arrays(path, {"w": np.arange(4)})
    assert read_arrays(path, sha256)["w"].tolist() == [0, 1, 2, 3]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match="was changed"):
        read_arrays(path, sha256)


def test_a_file_that_cannot_be_written_is_named_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    (folder / ".answers.json.tmp").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match=r"answers\.json") as failed:
        write_file(folder / "answers.json", b"1")
    assert failed.value.filename == str(folder / "answers.json")
    assert list(folder.iterdir()) == [folder / ".answers.json.tmp"]
