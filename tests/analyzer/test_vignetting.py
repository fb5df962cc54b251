"""A map of the response corrects each macro-pixel by the block it lies in."""

import h5py
import numpy as np
import pytest
import uproot

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


@pytest.mark.parametrize("rebin", [1, 2, 4])
def test_a_map_of_cygno_is_turned_as_its_frames_are_turned_back(tmp_path, rebin):
    random = np.random.default_rng(1)
    bins, side = 7, 48  # as 287 bins over 2304 pixels, none of whole pixels
    histogram = random.uniform(0.3, 1, (bins, bins))
    edges = np.linspace(0, side, bins + 1)
    path = tmp_path / "vignette.root"
    with uproot.recreate(path) as file:
        file["normmap_lime"] = histogram, edges, edges
        file["normmap_lemon"] = histogram[:4, :4], edges[:5], edges[:5]
    gain = load_vignetting(str(path), (side, side), rebin).gain
    for row, column in np.ndindex(gain.shape):
        y, x = (int(rebin * place + rebin / 2) for place in (row, column))
        # CYGNO turns a frame to image[y, side - 1 - x] and takes map[second axis, first axis]
        expected = histogram[int((side - x - 0.5) * bins / side), int((y + 0.5) * bins / side)]
        assert gain[row, column] == pytest.approx(1 / expected), (row, column)
    named = load_vignetting(f"{path}:normmap_lemon", (side, side), rebin)
    assert named.gain[0, 0] == pytest.approx(1 / histogram[3, 0])
    with pytest.raises(VignettingError, match="no histogram 'x' among: normmap_lime"):
        load_vignetting(f"{path}:x", (side, side), rebin)
