"""The prepared data set of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from prepared_data import write_prepared

from primus_models.preparation.prepared import Prepared, load


@pytest.fixture(scope="session")
def prepared_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared(tmp_path_factory.mktemp("prepared") / "made")


@pytest.fixture(scope="session")
def prepared(prepared_path: Path) -> Prepared:
    return load(prepared_path)
