"""Parts: nothing that belongs together straddles, shares are kept, order of listing is irrelevant."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.model_selection import train_test_split

from agegender.config.compose import conf_dir
from agegender.core import registry
from agegender.core.errors import UserError
from agegender.core.files import read_yaml
from agegender.data.age_bands import AGE_BANDS
from agegender.data.duplicates.clusters import components, same_value
from agegender.data.interfaces import Split
from agegender.data.stratify import balance


def clusters(sha256: pd.Series[str], identity: pd.Series[str]) -> npt.NDArray[np.int64]:
    return components(len(sha256), [same_value(sha256), same_value(identity)])


def split(name: str, **values: Any) -> Split:
    options = {**read_yaml(conf_dir() / "split" / f"{name}.yaml"), **values}
    built: Split = registry.build("split", registry.find("split", name).Options.model_validate(options))
    return built


def faces(count: int, identities: int | None = None, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"id": [f"f{i:05d}" for i in range(count)]})
    table["age"] = rng.integers(0, 90, count).astype(float)
    table["age_min"] = table["age_max"] = np.nan
    table["gender"] = rng.choice(np.array(["female", "male", None], dtype=object), count, p=[0.6, 0.3, 0.1])
    people = rng.integers(0, identities, count) if identities else range(count)
    table["identity"] = [f"p{person}" for person in people]
    table["group"] = rng.choice(["g0", "g1"], count)
    table["split"] = None
    table["sha256"] = [hashlib.sha256(name.encode()).hexdigest() for name in table["id"]]
    table["cluster"] = clusters(table["sha256"], table["identity"])
    return table


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_the_connected_components(seed: int) -> None:
    """Oracle: the transitive closure of "same file or same identity"."""
    rng = np.random.default_rng(seed)
    files, people = rng.integers(0, 60, 100), rng.integers(-1, 40, 100)
    identity = pd.Series([None if p < 0 else f"p{p}" for p in people], dtype=object)
    ours = clusters(pd.Series([f"s{f}" for f in files]), identity)
    linked = (files[:, None] == files) | ((people[:, None] == people) & (people[:, None] >= 0))
    for _ in range(7):  # chains of up to 2**7 links
        linked = linked @ linked
    np.testing.assert_array_equal(ours[:, None] == ours, linked)
    assert list(pd.unique(ours)) == list(range(ours.max() + 1))


def test_random_is_the_published_split() -> None:
    table = faces(103)
    train, val = train_test_split(table, test_size=0.2, random_state=42)
    part = split("random").assign(table)
    assert set(part.index[part == "train"]) == set(train.index)
    assert set(part.index[part == "val"]) == set(val.index)
    assert "same faces" in split("random").notes[0]


def test_random_needs_two_faces() -> None:
    with pytest.raises(UserError, match="at least 2 faces, found 1"):
        split("random").assign(faces(1))


def test_column_reads_its_words() -> None:
    table = faces(6)
    table["split"] = ["train", "Valid", "dev", "test", " CAL ", "validation"]
    assert split("column").assign(table).tolist() == ["train", "val", "val", "test", "cal", "val"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "val", "holdout"], "'holdout' is no part"),
        (["train", "test", "test"], "no face is in val"),
        (["val", "val", "test"], "no face is in train"),
        (["train", "val", None], "1 of 3 faces have no word"),
        ([None, None, None], "declare no parts"),
    ],
    ids=str,
)
def test_column_refuses(words: list[str | None], message: str) -> None:
    table = faces(3)
    table["split"] = pd.Series(words, dtype=object)
    with pytest.raises(UserError, match=message):
        split("column").assign(table)


@pytest.mark.parametrize("identities", [None, 400])
def test_dedup_keeps_clusters_and_shares(identities: int | None) -> None:
    table = faces(2000, identities)
    part = split("dedup").assign(table)
    assert part.groupby(table["cluster"]).nunique().max() == 1
    share = part.value_counts(normalize=True)
    largest = table["cluster"].value_counts().max()
    for name, expected in {"train": 0.70, "val": 0.10, "cal": 0.05, "test": 0.15}.items():
        assert abs(share[name] - expected) < largest / 2000 + 1e-3, name


def test_dedup_is_stratified() -> None:
    """Single faces: every age band x gender gets its parts' shares to within two faces."""
    table = faces(3000)
    table["part"] = split("dedup").assign(table)
    table["band"] = np.digitize(table["age"], AGE_BANDS)
    for _, stratum in table.groupby(["band", "gender"], dropna=False):
        for name, share in {"train": 0.70, "val": 0.10, "cal": 0.05, "test": 0.15}.items():
            assert abs((stratum["part"] == name).sum() - share * len(stratum)) < 2


def test_dedup_does_not_depend_on_the_order_of_listing() -> None:
    table = faces(300, 90)
    shuffled = table.sample(frac=1, random_state=1).reset_index(drop=True)
    shuffled["cluster"] = clusters(shuffled["sha256"], shuffled["identity"])
    first, second = split("dedup").assign(table), split("dedup").assign(shuffled)
    assert dict(zip(table["id"], first, strict=True)) == dict(zip(shuffled["id"], second, strict=True))


def test_dedup_follows_its_seed() -> None:
    table = faces(300)
    assert not split("dedup", seed=1).assign(table).equals(split("dedup").assign(table))
    assert split("dedup").assign(table).equals(split("dedup").assign(table))


def test_dedup_says_how_many_faces_it_needs() -> None:
    with pytest.raises(UserError, match=r"needs at least (\d+) different faces") as caught:
        split("dedup").assign(faces(4))
    need = int(str(caught.value).split("at least ")[1].split()[0])
    assert set(split("dedup").assign(faces(need))) == {"train", "val", "cal", "test"}
    with pytest.raises(UserError):
        split("dedup").assign(faces(need - 1))


def test_dedup_with_one_giant_cluster_says_so() -> None:
    table = faces(2020)
    table.loc[:1999, "cluster"] = 0
    with pytest.raises(UserError, match="holds 2000 of 2020"):
        split("dedup").assign(table)


def test_dedup_leaves_out_a_part_of_share_zero() -> None:
    part = split("dedup", train=0.8, val=0.2, cal=0.0, test=0.0).assign(faces(50))
    assert part.value_counts().to_dict() == {"train": 40, "val": 10}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": 0.8}, "must add up to 1, not 1.1"),
        ({"train": 0.0, "val": 0.8}, "share of train must be at least 0.001"),
        ({"cal": 1e-5, "test": 0.2 - 1e-5}, "share of cal must be at least 0.001 or 0"),
        ({"test": -0.1}, "greater than or equal to 0"),
    ],
    ids=str,
)
def test_dedup_options_are_checked(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        split("dedup", **values)


@pytest.mark.parametrize("identities", [None, 900])
def test_dedup5_makes_five_true_folds(identities: int | None) -> None:
    """Every face is a test face once; of the rest a tenth is val and a tenth cal; clusters stay whole."""
    table = faces(2000, identities)
    parts = [split("dedup5", fold=fold).assign(table) for fold in range(5)]
    tested = np.sum([part == "test" for part in parts], axis=0)
    assert (tested == 1).all()
    for part in parts:
        assert part.groupby(table["cluster"]).nunique().max() == 1
        share = part.value_counts(normalize=True)
        for name, expected in {"train": 0.64, "val": 0.08, "cal": 0.08, "test": 0.2}.items():
            assert share[name] == pytest.approx(expected, abs=0.006), name


def test_dedup5_is_stratified_and_follows_its_seed() -> None:
    table = faces(3000)
    first = split("dedup5", fold=3).assign(table)
    assert not split("dedup5", fold=3, seed=1).assign(table).equals(first)
    table["part"] = first
    table["band"] = np.digitize(table["age"], AGE_BANDS)
    for _, stratum in table.groupby(["band", "gender", "group"], dropna=False):
        assert abs((stratum["part"] == "test").sum() - 0.2 * len(stratum)) < 2


def test_dedup5_says_how_many_faces_it_needs() -> None:
    with pytest.raises(UserError, match=r"split=dedup5 needs at least (\d+) different faces") as caught:
        split("dedup5").assign(faces(6))
    need = int(str(caught.value).split("at least ")[1].split()[0])
    for fold in range(5):
        assert set(split("dedup5", fold=fold).assign(faces(need))) == {"train", "val", "cal", "test"}
    with pytest.raises(UserError):
        split("dedup5").assign(faces(need - 1))


def test_a_fold_that_does_not_exist() -> None:
    with pytest.raises(ValidationError, match="less than 5"):
        split("dedup5", fold=5)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dedup", ["train 70.0%", "cal 5.0%", "stay together", "seed 0"]),
        ("dedup5", ["fold 0 of 5 is test", "cal 10%", "stay together", "seed 0"]),
        ("random", ["train_test_split", "val 20.0%", "random_state 42"]),
        ("column", ["data declare"]),
    ],
)
def test_every_split_says_how_it_is_made(name: str, words: list[str]) -> None:
    assert all(word in split(name).how for word in words)


def test_balance_counts_every_part() -> None:
    table = faces(400)
    table["part"] = split("dedup").assign(table)
    shown = balance(table)
    assert list(shown) == ["age", "gender", "group"]
    assert list(shown["age"]) == ["0–2", "3–9", "10–19", *(f"{a}–{a + 9}" for a in range(20, 70, 10)), "70+"]
    for values in shown.values():
        for counts in values.values():
            assert counts["all"] == sum(n for part, n in counts.items() if part != "all")
    assert sum(counts["all"] for counts in shown["gender"].values()) == table["gender"].notna().sum()
    assert shown["gender"]["male"]["test"] == ((table["gender"] == "male") & (table["part"] == "test")).sum()


@pytest.mark.parametrize("name", ["dedup", "dedup5"])
def test_faces_with_copies_are_in_every_part(name: str) -> None:
    """A tenth of the photos has two or three files: every part gets its share of them."""
    rng = np.random.default_rng(0)
    copies = rng.choice([1, 2, 3], 3000, p=[0.9, 0.06, 0.04])
    table = faces(int(copies.sum()))
    table["cluster"] = np.repeat(np.arange(3000), copies)
    part = split(name).assign(table)
    assert part.groupby(table["cluster"]).nunique().max() == 1
    has_copy = table["cluster"].duplicated(keep=False)
    for share in part.unique():
        expected = (part == share).mean()
        assert (part[has_copy] == share).mean() == pytest.approx(expected, abs=0.01), share
