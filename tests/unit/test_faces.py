"""The embedded faces: deterministic, labelled over the whole range, and their nuisance knows no label."""

from __future__ import annotations

import inspect
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from agegender.core.types import GENDERS
from agegender.data.synthetic import faces
from agegender.data.synthetic.faces import GROUPS, SIZE, Cues, FaceLabel, draw_face, face_label, nuisance

NO_CUES = Cues(**dict.fromkeys(Cues.__dataclass_fields__, 0.0))


def test_a_face_depends_on_seed_and_index_alone() -> None:
    forwards = [draw_face(3, index) for index in range(6)]
    backwards = [draw_face(3, index) for index in reversed(range(6))][::-1]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        elsewhere = list(pool.map(draw_face, [3] * 6, range(6)))
    for one, two, three in zip(forwards, backwards, elsewhere, strict=True):
        assert one.shape == (SIZE, SIZE, 3)
        assert one.dtype == np.uint8
        assert np.array_equal(one, two)
        assert np.array_equal(one, three)
    assert not np.array_equal(draw_face(4, 0), forwards[0])


def test_labels_cover_ages_genders_and_groups() -> None:
    labels = [face_label(0, index) for index in range(3000)]
    ages = np.array([label.age for label in labels])
    assert ages.min() >= 1
    assert ages.max() <= 90
    assert 20 < ages.std() < 26
    assert np.histogram(ages, np.arange(0, 91, 10))[0].min() > 100
    for values, known in (([x.gender for x in labels], GENDERS), ([x.group for x in labels], GROUPS)):
        shares = [values.count(name) / len(labels) for name in known]
        assert sum(shares) == 1
        assert shares == pytest.approx([1 / len(known)] * len(known), abs=0.04)


@pytest.mark.parametrize(
    "other",
    [FaceLabel(80, "female", "g0"), FaceLabel(30, "male", "g0"), FaceLabel(30, "female", "g2")],
    ids=str,
)
def test_every_label_shows_and_without_cues_none_does(other: FaceLabel) -> None:
    one = FaceLabel(30, "female", "g0")
    seen = np.array([draw_face(0, i, label=other) != draw_face(0, i, label=one) for i in range(4)])
    assert seen.mean() > 0.05
    for i in range(4):
        assert np.array_equal(draw_face(0, i, NO_CUES, other), draw_face(0, i, NO_CUES, one))


def test_nuisance_never_sees_a_label() -> None:
    assert list(inspect.signature(nuisance).parameters) == ["seed", "index"]
    labels = [face_label(0, index) for index in range(2000)]
    drawn = [vars(nuisance(0, index)) for index in range(2000)]
    targets = {
        "age": [label.age for label in labels],
        "female": [label.gender == "female" for label in labels],
        "g0": [label.group == "g0" for label in labels],
    }
    for name in drawn[0]:
        for what, target in targets.items():
            correlation = np.corrcoef([each[name] for each in drawn], np.array(target, float))[0, 1]
            assert abs(correlation) < 0.08, (name, what)  # 3.6 standard errors


def test_the_module_stays_small() -> None:
    assert len(inspect.getsource(faces).splitlines()) <= 250


def test_the_faces_of_this_version() -> None:
    """Labels exactly; pixels to a few grey levels, as versions of Pillow and numpy differ by these."""
    assert faces.VERSION == 3, "a new look: take up its labels and its blocks here"
    assert [face_label(0, index) for index in range(4)] == [
        FaceLabel(35.2, "female", "g0"),
        FaceLabel(20.3, "female", "g0"),
        FaceLabel(5.1, "female", "g1"),
        FaceLabel(22.4, "male", "g1"),
    ]
    blocks = draw_face(0, 0).reshape(4, 32, 4, 32, 3).mean((1, 3, 4))
    expected = [[172, 107, 114, 100], [141, 120, 155, 84], [113, 153, 210, 136], [151, 146, 162, 150]]
    np.testing.assert_allclose(blocks, expected, atol=4)
