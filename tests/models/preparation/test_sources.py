from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from primus_models.errors import DataSetError
from primus_models.preparation import sources


def test_every_form_opens_by_its_name(tmp_path: Path) -> None:
    assert sources.names() == ("aria", "classyglass", "ego-exo4d", "ego4d", "folder", "realworld", "watch")
    for name in sources.names():
        assert sources.open_data_set(name, tmp_path).name == name
    assert sources.open_data_set("watch").name == "watch"


def test_options_reach_the_data_set(tmp_path: Path) -> None:
    data = sources.open_data_set("ego-exo4d", str(tmp_path), splits=["val"], bad_windows="bad.txt", unnarrated_hop_s=5)
    assert (data.splits, data.bad_windows, data.unnarrated_hop_s) == (("val",), Path("bad.txt"), 5)  # type: ignore[attr-defined]
    assert "hop_s" in sources.options_of("watch")


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataSetError, match=r"no data set 'imagenet'; there are aria, classyglass"):
        sources.open_data_set("imagenet", tmp_path)
    with pytest.raises(DataSetError, match=r"has no option 'hopp'; it knows hop_s, captions, position"):
        sources.open_data_set("realworld", tmp_path, hopp=1)
    with pytest.raises(DataSetError, match="needs a path"):
        sources.open_data_set("folder")
    with pytest.raises(DataSetError, match="nothing at"):
        sources.open_data_set("folder", tmp_path / "none")
    with pytest.raises(DataSetError, match="wrong kind"):
        sources.open_data_set("ego-exo4d", tmp_path, annotator="first")


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; from primus_models.preparation import sources\n"
        f"for name in sources.names(): sources.open_data_set(name, {str(tmp_path)!r})\n"
        "print(' '.join(sys.modules))"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "projectaria_tools", "av", "onnx", "scipy", "matplotlib"}.isdisjoint(modules)
