"""Dropout's masks on a CPU: as torch's, from fewer random numbers."""

import pytest
import torch

from tunery_trainer.dropout import use_fast_masks

SIZE = 400_000


@pytest.fixture(autouse=True)
def _fast() -> None:
    use_fast_masks()
    torch.manual_seed(0)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 0.99999, 1.0])
def test_a_share_of_ones(p: float) -> None:
    mask = torch.empty(SIZE).bernoulli_(p)

    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    # Five standard deviations; a probability is a multiple of 1 / 65,536.
    assert mask.mean().item() == pytest.approx(p, abs=5 * (p * (1 - p) / SIZE) ** 0.5 + 1 / 65_536)


def test_elements_do_not_depend_on_each_other() -> None:
    mask = torch.empty(SIZE).bernoulli_(0.5)

    for distance in (1, 2, 3, 4, 8):  # four elements come of one number
        both = (mask[:-distance] * mask[distance:]).mean().item()
        assert both == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / SIZE) ** 0.5)


def test_torchs_random_state_rules() -> None:
    state = torch.get_rng_state()
    first, second = (torch.empty(1001).bernoulli_(0.5) for _ in range(2))
    torch.set_rng_state(state)

    assert torch.equal(torch.empty(1001).bernoulli_(0.5), first)
    assert not torch.equal(first, second)


def test_generators_and_other_layouts() -> None:
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    first, second = (torch.empty(7).bernoulli_(0.5, generator=each) for each in generators)
    turned = torch.full((30, 20), 5.0).t().bernoulli_(0.5)

    assert torch.equal(first, second)
    assert not turned.is_contiguous()
    assert set(turned.unique().tolist()) == {0.0, 1.0}
    assert torch.empty(0).bernoulli_(0.5).shape == (0,)
    assert torch.empty(64, dtype=torch.float64).bernoulli_(0.5).dtype == torch.float64


def test_dropout_keeps_the_mean_and_its_gradient() -> None:
    given = torch.ones(SIZE, requires_grad=True)

    found = torch.nn.functional.dropout(given, 0.1)
    found.sum().backward()

    assert found.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(given.grad, found.detach())
