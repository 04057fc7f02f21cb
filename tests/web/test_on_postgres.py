"""The service's core tests again, with what the workspace knows in PostgreSQL."""

import pytest

import nearer as package
from nearer.store.workspace import Workspace
from web.test_admin import *  # noqa: F403
from web.test_arms import *  # noqa: F403
from web.test_documents import *  # noqa: F403
from web.test_keys import *  # noqa: F403
from web.test_swap import *  # noqa: F403

pytestmark = pytest.mark.exhaustive


def moved(folder, address):
    with Workspace.open(folder) as workspace:
        package.copy_store(workspace, address, write=True)
    return folder


@pytest.fixture
def base_live(base_live, postgres_store):
    """A workspace in which the base is live, moved."""
    return moved(base_live, postgres_store)


@pytest.fixture
def trained(trained, postgres_store):
    """The same with a trained model."""
    return moved(trained, postgres_store)
