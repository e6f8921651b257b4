import math

import pytest
from small_page import popularity_run
from small_server import fitted_run

from cobrarec.artifact import load_artifact
from cobrarec.errors import DataError
from cobrarec.serving.page.dials import dials_of, silent, turned

RECOMMENDER = load_artifact(fitted_run() / "artifact")
DIALS = dials_of(RECOMMENDER)
STILL = [dial.default for dial in DIALS]


def test_every_dial_is_a_setting_and_stands_where_the_artifact_does():
    assert [dial.name for dial in DIALS] == ["tau", "psi", "num_beams", "direct_weight", "memory_weight"]
    assert all(dial.low <= dial.default <= dial.high for dial in DIALS)
    assert turned(DIALS, STILL) == {}
    by_name = dict(zip([dial.name for dial in DIALS], STILL, strict=True))
    assert by_name["psi"] == pytest.approx(RECOMMENDER.network.settings.psi, abs=0.05)
    assert by_name["direct_weight"] == pytest.approx(RECOMMENDER.weights.direct, abs=0.025)


def test_only_what_was_turned_is_a_setting():
    values = [2.0, *STILL[1:]]
    assert turned(DIALS, values) == {"tau": 2.0}
    RECOMMENDER.with_settings(**turned(DIALS, [0.5, 3.3, 2, 0.25, 1.0]))


@pytest.mark.parametrize(("given", "at"), [(99, 5), (-3, 0), (None, 1.0), (math.nan, 1.0), (2, 2)])
def test_a_number_beyond_the_range_is_the_nearest_within(given, at):
    assert DIALS[0].within(given) == at


def test_beams_are_whole():
    assert turned(DIALS, [STILL[0], STILL[1], 2.4, *STILL[3:]]) == {"num_beams": 2}


def test_a_page_of_another_artifact_is_told_to_load_again():
    with pytest.raises(DataError, match="load it again"):
        turned(DIALS, STILL[:2])


def test_dials_without_a_say_are_named():
    assert "direct weight is 1" in silent(RECOMMENDER.with_settings(direct_weight=1.0))
    assert "all beams count alike" in silent(RECOMMENDER.with_settings(direct_weight=0.5, tau=0.0))
    assert silent(RECOMMENDER.with_settings(direct_weight=0.5)) == ""


def test_rankers_without_a_network_have_none():
    assert dials_of(load_artifact(popularity_run() / "artifact")) == ()
