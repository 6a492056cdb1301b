"""The systems that a package can be written for."""

from __future__ import annotations

from dataclasses import dataclass

from primus_export.errors import ExportError
from primus_export.formats.base import Options


@dataclass(frozen=True)
class Target:
    """The oldest system that runs the package.

    gru_op: its own GRU has what this encoder needs (`reset_after` and a bias on both sides); else the recurrence is a
    loop of matrix products. bits: widths of quantized weights that it reads. blockwise: it reads them with a scale a
    block (or row); else with a scale a row, by an older operator.
    """

    name: str
    ios: str
    macos: str
    gru_op: bool = False
    bits: tuple[int, ...] = ()
    blockwise: bool = False


TARGETS = {
    target.name: target
    for target in (
        Target("ios15", "15.0", "12.0"),
        Target("ios16", "16.0", "13.0", bits=(8,)),
        Target("ios17", "17.0", "14.0", bits=(8,)),
        Target("ios18", "18.0", "15.0", gru_op=True, bits=(8, 4), blockwise=True),
    )
}
DEFAULT = "ios18"
BITS = {"int8": 8, "int4": 4}


def target_of(options: Options) -> Target:
    """What `coreml_target` of the options (`ios15` to `ios18`, the default) names.

    Raises:
        ExportError: there is no such target, or it cannot have this precision or input type.
    """
    if options.io == "int8":
        raise ExportError(
            "Core ML takes float input only; for int8 input and output export TFLite: --format tflite --int8 --io int8"
        )
    name = options.extra.get("coreml_target", DEFAULT)
    if name not in TARGETS:
        raise ExportError(f"unknown coreml_target {name!r}; there are: {', '.join(TARGETS)}")
    target, bits = TARGETS[name], BITS.get(options.precision)
    if bits is not None and bits not in target.bits:
        readers = [other.name for other in TARGETS.values() if bits in other.bits]
        raise ExportError(
            f"{name} cannot read {options.precision} weights; choose coreml_target {' or '.join(readers)}, or fp16"
        )
    return target
