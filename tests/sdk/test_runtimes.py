"""Which runtime is chosen, what it must compute, and what is said where there is none."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import signal
import stat
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import save

import primus_sdk
from primus_sdk import BundleError, ClosedError, RuntimeMismatchError, RuntimeUnavailableError
from primus_sdk.bundles.manifest import Quantization
from primus_sdk.runtimes import NAMES
from primus_sdk.runtimes.base import OneAtATime, library_version
from primus_sdk.runtimes.quantization import dequantized, stretched


@pytest.fixture(scope="module")
def two(made: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A bundle of two formats, written by the exporter's own lowerings, and its files."""
    pytest.importorskip("ai_edge_litert")
    from primus_export import formats
    from primus_export.formats.base import Options
    from primus_models import reference
    from primus_models.graph import AdaptiveAvgPool1d, Graph, Linear, Reduce, Unary

    def graph(seed: int) -> Graph:
        weight = np.random.default_rng(seed).normal(0, 0.05, (512, 6)).astype(np.float32)
        steps = (
            AdaptiveAvgPool1d("imu", "parts", 10),
            Reduce("mean", "parts", "means"),
            Linear("means", "linear", weight),
            Unary("tanh", "linear", "embedding"),
        )
        return Graph(steps)

    window = made.windows(1, seed=7)
    contents, other = {}, {}
    folder = tmp_path_factory.mktemp("two")
    for name in ("onnx", "tflite"):
        for target, seed in ((contents, 0), (other, 1)):
            formats.get(name).write(graph(seed), folder / "model", Options("fp32", window))
            target[f"encoder.{name}"] = (folder / "model").read_bytes()
    contents["known_answer.safetensors"] = save(
        {"imu": window[0], "embedding": reference.run(graph(0), window)["embedding"][0]}
    )
    oldest = {"ai-edge-litert": "1.2.0", "onnxruntime": "1.15"}
    entries = [made.model_entry(name, f"encoder.{name}", oldest_runtime=oldest) for name in ("onnx", "tflite")]
    path = made.folder(folder / "bundle", made.files(entries, contents))
    return SimpleNamespace(
        path=path,
        contents=contents,
        other=other,
        entries=entries,
        expected=lambda windows: reference.run(graph(0), windows)["embedding"],
    )


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """As if those libraries were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else real(name))


ALL = ("onnxruntime", "ai_edge_litert", "tflite_runtime", "tensorflow", "coremltools")


def test_onnxruntime_comes_first_and_any_other_can_be_asked_for(two: SimpleNamespace, made: SimpleNamespace) -> None:
    windows = made.windows(5)
    for name, starts in ((None, "onnxruntime 1."), ("onnxruntime", "onnxruntime 1."), ("litert", "litert ")):
        with primus_sdk.load(two.path, runtime=name) as recogniser:
            assert recogniser.runtime.startswith(starts)
            assert np.abs(recogniser.embed(windows) - two.expected(windows)).max() < 1e-5
            alone = recogniser.embed(windows[0])
            assert all(np.array_equal(recogniser.embed(windows[0]), alone) for _ in range(3))


def test_the_next_one_is_taken_where_the_first_is_not_installed(
    two: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "onnxruntime")
    with primus_sdk.load(two.path) as recogniser:
        assert recogniser.runtime.startswith("litert ")


def test_with_none_installed_the_message_names_what_to_install(
    two: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, *ALL)
    with pytest.raises(RuntimeUnavailableError) as raised:
        primus_sdk.load(two.path)
    for words in ('pip install "primus-imu"', 'pip install "primus-imu[litert]"', "tflite-runtime", "tensorflow"):
        assert words in str(raised.value)
    assert isinstance(raised.value, ImportError)
    with pytest.raises(
        RuntimeUnavailableError, match=r"litert cannot run this bundle: not installed .*primus-imu\[litert\]"
    ):
        primus_sdk.load(two.path, runtime="litert")


def test_an_unknown_runtime_and_a_format_the_bundle_lacks_are_named(folder: Path) -> None:
    with pytest.raises(RuntimeUnavailableError, match=f"no runtime 'torch'; choose one of {', '.join(NAMES)}"):
        primus_sdk.load(folder, runtime="torch")
    with pytest.raises(RuntimeUnavailableError, match=r"no tflite model .*primus-export --format tflite"):
        primus_sdk.load(folder, runtime="litert")
    with pytest.raises(RuntimeUnavailableError, match="no coreml model"):
        primus_sdk.load(folder, runtime="coreml")


def test_a_runtime_that_is_too_old_is_not_used(made: SimpleNamespace, tmp_path: Path) -> None:
    entry = made.model_entry(oldest_runtime={"onnxruntime": "99.1"})
    path = made.folder(tmp_path, made.files([entry], {"encoder.onnx": made.onnx_model()}))
    with pytest.raises(RuntimeUnavailableError, match=r"the model needs 99\.1 \(pip install --upgrade onnxruntime\)"):
        primus_sdk.load(path)


def test_a_model_that_a_runtime_cannot_load_leaves_it_to_the_next(
    two: SimpleNamespace, made: SimpleNamespace, tmp_path: Path
) -> None:
    broken = two.contents | {"encoder.onnx": b"no model at all"}
    path = made.folder(tmp_path / "one", made.files(two.entries, broken))
    with primus_sdk.load(path) as recogniser:
        assert recogniser.runtime.startswith("litert ")
    broken |= {"encoder.tflite": b"no model either"}
    path = made.folder(tmp_path / "two", made.files(two.entries, broken))
    with pytest.raises(RuntimeUnavailableError, match=r"cannot load encoder\.onnx .*cannot load encoder\.tflite"):
        primus_sdk.load(path)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_a_wrong_result_is_never_passed_over(
    name: str, two: SimpleNamespace, made: SimpleNamespace, tmp_path: Path
) -> None:
    file = f"encoder.{name}"
    path = made.folder(tmp_path, made.files(two.entries, two.contents | {file: two.other[file]}))
    runtime = {"onnx": None, "tflite": "litert"}[name]
    library = {"onnx": "onnxruntime", "tflite": "litert"}[name]
    with pytest.raises(RuntimeMismatchError, match=rf"{library} \d.*encoder\.{name}"):
        primus_sdk.load(path, runtime=runtime)


def test_a_model_of_another_input_is_a_mismatch_not_a_foreign_error(made: SimpleNamespace, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Tanh", ["imu"], ["embedding"])],
        "foreign",
        [helper.make_tensor_value_info("imu", TensorProto.FLOAT, [3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = made.folder(tmp_path, made.files([made.model_entry()], {"encoder.onnx": model.SerializeToString()}))
    with pytest.raises(RuntimeMismatchError, match="the known answer failed"):
        primus_sdk.load(path)


def test_a_model_of_one_window_at_a_time_takes_several(made: SimpleNamespace, tmp_path: Path) -> None:
    model = onnx.load_from_string(made.onnx_model())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    path = made.folder(tmp_path, made.files([made.model_entry()], {"encoder.onnx": model.SerializeToString()}))
    windows = made.windows(3)
    with primus_sdk.load(path) as recogniser:
        assert np.abs(recogniser.embed(windows) - made.reference(windows)).max() < 1e-5


def test_each_sensor_of_each_window_is_stretched_over_its_own_range(made: SimpleNamespace) -> None:
    windows = made.windows(3)
    integers = stretched(windows)
    assert integers.dtype == np.int8
    assert integers.shape == windows.shape
    for sensor in (slice(0, 3), slice(3, 6)):
        part = integers[:, sensor].reshape(3, -1)
        assert part.min(axis=1).tolist() == [-127] * 3
        assert part.max(axis=1).tolist() == [127] * 3
    np.testing.assert_array_equal(stretched(windows[1:2])[0], integers[1])  # whatever its neighbours are
    np.testing.assert_array_equal(stretched(windows * np.float32(4)), integers)
    assert stretched(windows, peak=63).max() == 63


def test_a_sensor_that_stands_still_is_stretched_to_zeros() -> None:
    window = np.zeros((1, 6, 250), np.float32)
    window[0, :3] = 9.81
    assert not stretched(window).any()


def test_integers_come_back_as_numbers() -> None:
    assert dequantized(np.array([13, -128], np.int8), Quantization(2.0, 10)).tolist() == [6.0, -276.0]
    assert dequantized(np.array([1.5]), None).dtype == np.float32


def test_litert_serves_many_threads_and_closes_under_them(two: SimpleNamespace, made: SimpleNamespace) -> None:
    windows = made.windows(4)
    expected = two.expected(windows)
    recogniser = primus_sdk.load(two.path, runtime="litert")
    made.close_under_calls(recogniser, windows, expected)


def test_a_batch_under_way_ends_as_it_would_have_and_then_the_memory_goes() -> None:
    events: list[str] = []

    class Slow(OneAtATime):
        def _run_one(self, window: np.ndarray) -> dict[str, np.ndarray]:
            if len(events) == 1:
                self.close()  # as another thread would between two windows
            events.append("window")
            return {"embedding": window.reshape(1, -1)}

        def _release(self) -> None:
            events.append("released")

        def close(self) -> None:
            self._lock.release()
            super().close()
            self._lock.acquire()

    model = SimpleNamespace(input_quantization=None, output_quantization={}, outputs=("embedding",))
    runtime = Slow(model)
    windows = np.random.default_rng(0).normal(size=(4, 6, 250)).astype(np.float32)
    assert runtime.run(windows)["embedding"].tobytes() == windows.tobytes()
    assert events == [*["window"] * 4, "released"]
    with pytest.raises(ClosedError):
        runtime.run(windows)
    OneAtATime.close(runtime)
    assert events[4:] == ["released"]


def test_a_signals_handler_may_close_while_a_window_runs(two: SimpleNamespace, made: SimpleNamespace) -> None:
    recogniser, windows = primus_sdk.load(two.path, runtime="litert"), made.windows(40)
    before = signal.signal(signal.SIGALRM, lambda *_: recogniser.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not recogniser.closed:
            with suppress(ClosedError):
                assert len(recogniser.embed(windows)) == 40  # also where it is closed in the midst
    finally:
        signal.signal(signal.SIGALRM, before)


def test_coreml_gets_the_package_in_a_private_folder_that_goes(
    made: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    class MLModel:
        def __init__(self, path: str, compute_units: str) -> None:
            folder = Path(path)
            seen["units"] = compute_units
            seen["mode"] = stat.S_IMODE(folder.parent.stat().st_mode)
            seen["files"] = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
            seen["folder"] = folder

        def predict(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {"embedding": made.reference(inputs["imu"])}

    fake = ModelType()
    fake.models.MLModel = MLModel
    fake.ComputeUnit = SimpleNamespace(CPU_ONLY="cpu")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "coremltools", fake)
    monkeypatch.setattr("primus_sdk.runtimes.sys", SimpleNamespace(platform="darwin"))
    contents = {"encoder.mlpackage/Manifest.json": b"{}", "encoder.mlpackage/Data/weights/weight.bin": b"1"}
    entry = made.model_entry("coreml", "encoder.mlpackage")
    path = made.folder(tmp_path, made.files([entry], contents))
    windows = made.windows(3)
    with primus_sdk.load(path) as recogniser:
        assert recogniser.runtime == "coreml 9.9"
        assert seen["units"] == "cpu"
        assert np.abs(recogniser.embed(windows) - made.reference(windows)).max() < 1e-6
        assert seen["mode"] == 0o700
        assert seen["files"] == {"Manifest.json", "Data/weights/weight.bin"}
        assert seen["folder"].is_dir()
    assert not seen["folder"].parent.exists()
    entry = made.model_entry("coreml", "encoder.mlpackage", oldest_runtime={"iOS": "17.0", "macOS": "14.0"})
    newer = made.folder(tmp_path / "newer", made.files([entry], contents))
    for running, said in (("13.6.1", r"this is macOS 13\.6\.1, the model needs 14\.0"), ("14.0", ""), ("", "")):
        monkeypatch.setattr("platform.mac_ver", lambda running=running: (running, ("", "", ""), ""))
        with pytest.raises(RuntimeUnavailableError, match=said) if said else nullcontext():
            primus_sdk.load(newer).close()
    monkeypatch.setattr("primus_sdk.runtimes.sys", SimpleNamespace(platform="linux"))
    with pytest.raises(RuntimeUnavailableError, match="runs on macOS only"):
        primus_sdk.load(path)


class ModelType(ModuleType):
    """Stands for coremltools, which cannot predict but on macOS."""

    def __init__(self) -> None:
        super().__init__("coremltools")
        self.__spec__ = importlib.machinery.ModuleSpec("coremltools", None)
        self.__version__ = "9.9"
        self.models = ModuleType("coremltools.models")


def test_a_bundle_of_a_model_that_is_not_there_is_refused(made: SimpleNamespace, tmp_path: Path) -> None:
    files = made.files([made.model_entry("tflite", "encoder.tflite")], {"encoder.onnx": made.onnx_model()})
    with pytest.raises(BundleError, match=r"encoder\.tflite.*not among its files"):
        primus_sdk.load(made.folder(tmp_path, files))


@pytest.mark.parametrize("module", ["numpy", "safetensors"])
def test_a_library_that_is_not_loaded_has_its_distributions_version(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import metadata

    stated = metadata.version(module)
    monkeypatch.delitem(sys.modules, module)
    assert library_version(module, module) == stated
    assert library_version("no_such_module", "no-such-distribution") == "unknown"


def test_a_version_that_two_folders_claim_is_left_to_the_packages_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_package-1.2.3.dist-info").mkdir()
    assert library_version("package", "my-package") == "1.2.3"
    (tmp_path / "my_package-0.9.dist-info").mkdir()
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"asked for {name}")
    assert library_version("package", "my-package") == "asked for my-package"
