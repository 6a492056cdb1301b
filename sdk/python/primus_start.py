"""Where the console commands begin, above all three floors: Ctrl-C ends them quietly while they still import, too."""

import importlib
import signal


def calibrate() -> None:
    """Run `primus-calibrate`."""
    _run("primus_sdk.commands.calibrate")


def evaluate() -> None:
    """Run `primus-evaluate`."""
    _run("primus_models.commands.evaluate")


def export() -> None:
    """Run `primus-export`."""
    _run("primus_export.commands.export")


def import_checkpoint() -> None:
    """Run `primus-import`."""
    _run("primus_models.commands.import_checkpoint")


def prepare() -> None:
    """Run `primus-prepare`."""
    _run("primus_models.commands.prepare")


def pretrain() -> None:
    """Run `primus-pretrain`."""
    _run("primus_models.commands.pretrain")


def stream() -> None:
    """Run `primus-stream`."""
    _run("primus_sdk.commands.stream")


def _run(module: str) -> None:
    """Run a module's `main`. Until it is imported, Ctrl-C ends the process as if Python had not caught it."""
    caught = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where it is ignored, as under nohup
    if caught:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = importlib.import_module(module).main
    if caught:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
