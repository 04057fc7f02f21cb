"""Fixtures of the hostile files: what they are given to, made once."""

from pathlib import Path

import pytest

from hostile.whole import write_whole


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folders that are whole lie. Do not change them."""
    folder = tmp_path_factory.mktemp("hostile")
    write_whole(folder)
    return folder
