"""A domain with everybody in it, and its meter; a file that needs another one has its own."""

import pytest
from hil_hands import World


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture
def meter(world):
    return world.meter()
