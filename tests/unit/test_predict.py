"""What a network says of faces, joined from the shares of several ranks."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch

from agegender.core.types import InputSpec
from agegender.data.batches import Batches, Share
from agegender.engine.predict import predict
from agegender.evaluation.predicted import Predicted
from agegender.evaluation.table import SEVERAL
from agegender.models.backbones.scratch_cnn import ScratchCNN
from agegender.models.gender_head import GenderHead
from agegender.models.network import AgeGenderNet
from agegender.models.sharing.hard import Hard

from ..heads import make_head
from ..uncertainty import make_uncertainty


def _network(age_head: str) -> AgeGenderNet:
    torch.manual_seed(0)
    backbone = ScratchCNN(ScratchCNN.Options(name="scratch_cnn", weights=None, sharing="hard"), 16)
    features = backbone.num_features
    return AgeGenderNet(backbone, make_head(age_head, features), GenderHead(features), Hard(backbone))


def _predict(network: AgeGenderNet, share: Share, uncertainty: str = "none") -> Predicted:
    faces = pd.DataFrame(
        {"age": np.nan, "age_min": np.nan, "age_max": np.nan, "gender": None}, index=range(3)
    )
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    spec = InputSpec(16, (0.5,) * 3, (0.5,) * 3)
    batches = Batches(faces, images, spec, 2, torch.device("cpu"), share)
    return predict(network, batches.in_order(np.arange(3)), nullcontext(), make_uncertainty(uncertainty))


@pytest.mark.parametrize("uncertainty", ["none", "tta"])
@pytest.mark.parametrize("age_head", ["regression", "gaussian", "classification"])
def test_shares_join_to_the_whole(age_head: str, uncertainty: str) -> None:
    network = _network(age_head)
    whole = _predict(network, Share(), uncertainty)
    shares = [_predict(network, Share(rank, 4), uncertainty) for rank in range(4)]  # the last has none
    joined = Predicted.join(shares)
    pd.testing.assert_frame_equal(whole.columns, joined.columns, rtol=1e-4, atol=1e-4)
    several = [name for name in SEVERAL if name in whole.columns]
    assert several == ([] if uncertainty == "none" else list(SEVERAL))
    states_it = age_head != "regression" or bool(several)  # of the views together, whatever the head
    assert whole.columns["age_std"].notna().all() == states_it
    assert (whole.posterior is None) == (joined.posterior is None) == (age_head != "classification")
    if whole.posterior is not None and joined.posterior is not None:
        assert whole.posterior.posterior_NA.shape == (3, 121)
        assert joined.posterior.posterior_NA == pytest.approx(whole.posterior.posterior_NA, abs=1e-5)
        assert joined.posterior.ages_A.tolist() == list(range(121))
