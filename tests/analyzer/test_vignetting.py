"""A map of the response corrects each macro-pixel by the block it lies in."""

import h5py
import numpy as np
import pytest

from analyzer.vignetting import VignettingError, load_vignetting


def test_without_a_map_nothing_is_corrected():
    vignetting = load_vignetting("", (10, 12), 4)
    assert vignetting.is_flat
    assert vignetting.gain.shape == (3, 3)
    assert (vignetting.gain == 1).all()


@pytest.mark.parametrize("kind", ["npy", "h5"])
@pytest.mark.parametrize("rebin", [1, 2, 4, 8])
def test_each_macro_pixel_takes_the_block_of_its_middle(tmp_path, kind, rebin):
    response = np.array([[1.0, 0.5], [0.8, 0.25], [0.4, 0.2]])
    path = tmp_path / f"map.{kind}"
    if kind == "npy":
        np.save(path, response)
    else:
        with h5py.File(path, "w") as file:
            file["response"] = response
            file["error"] = response * 0.01
    gain = load_vignetting(str(path), (24, 16), rebin).gain
    wanted = np.repeat(np.repeat(1 / response, 8 // rebin, axis=0), 8 // rebin, axis=1)
    np.testing.assert_allclose(gain, wanted)
    assert not gain.flags.writeable


def test_blocks_without_response_are_counted_and_left_alone(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.array([[1.0, np.nan], [0.0, 0.5]]))
    vignetting = load_vignetting(str(path), (8, 8), 4)
    assert vignetting.unusable == 2
    assert vignetting.gain.tolist() == [[1, 1], [1, 2]]


def test_a_map_that_does_not_fit_is_refused_with_both_sizes(tmp_path):
    path = tmp_path / "map.npy"
    np.save(path, np.ones((7, 9)))
    with pytest.raises(VignettingError, match=r"7x9 blocks.*64x64 pixels"):
        load_vignetting(str(path), (64, 64), 4)
    with pytest.raises(VignettingError, match="cannot be read"):
        load_vignetting(str(tmp_path / "none.npy"), (64, 64), 4)
    np.save(path, np.ones(9))
    with pytest.raises(VignettingError, match="rows and columns"):
        load_vignetting(str(path), (64, 64), 4)
