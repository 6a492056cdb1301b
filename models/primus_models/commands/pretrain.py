"""`primus-pretrain PREPARED -o RUN`: pretrain an encoder as the paper does, its ablations and its baselines."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from primus_models.errors import PretrainingError
from primus_sdk.commands._cli import FloatRange, click, command, need
from primus_sdk.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from primus_models.pretraining.run import Progress

_OBJECTIVES = ("primus", "simclr", "imu2clip", "multitask", "standard")


@command(
    epilog="""\b
Examples:
  primus-pretrain prepared -o runs/primus                         # the paper's objective
  primus-pretrain prepared -o runs/ss-mm --losses ss,mm           # an ablation (Fig. 5)
  primus-pretrain prepared -o runs/tenth --aligned-share 0.1      # Fig. 6
  primus-pretrain prepared -o runs/simclr --objective simclr      # a baseline (Fig. 4)
  primus-pretrain prepared -o runs/primus --config mine.yaml --devices 4 --nodes 2 --precision bf16-mixed

The same command goes on with a run that was stopped. RUN/checkpoint.safetensors is what primus-export takes.
"""
)
@click.argument("prepared", type=click.Path(path_type=Path))
@click.option("-o", "--output", "folder", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings as YAML; options stand in place of them.")
@click.option("--objective", type=click.Choice(_OBJECTIVES), help="The paper's, or a baseline of Fig. 4. [primus]")
@click.option("--losses", help="Some of ss, mm and nn, with commas, each of weight 1 (Fig. 5). [ss,mm,nn]")
@click.option("--alpha", type=FloatRange(0), help="Weight of ss. [1]")
@click.option("--beta", type=FloatRange(0), help="Weight of mm. [1]")
@click.option("--gamma", type=FloatRange(0), help="Weight of nn. [1]")
@click.option(
    "--aligned-share", type=FloatRange(0, 1), help="Share of the windows that keep text and video (Fig. 6). [1]"
)
@click.option(
    "--augmentation", "augmentations", multiple=True, help="One after the other; may be repeated. [scale, reverse]"
)
@click.option(
    "--input-augmentation",
    "input_augmentations",
    multiple=True,
    help="Done to every window before any loss sees it; may be repeated. [none]",
)
@click.option("--text-tower", help="Whose text embeddings to use; '' for none. [the one that is prepared]")
@click.option("--video-tower", help="Whose video embeddings to use; '' for none. [the one that is prepared]")
@click.option("--architecture", help="The encoder. [primus]")
@click.option("--epochs", type=int, help="[15]")
@click.option("--batch", type=int, help="Windows a step, of all processes together. [64]")
@click.option("--learning-rate", type=FloatRange(0), help="[2e-4]")
@click.option("--schedule", type=click.Choice(["constant", "cosine"]), help="Of the learning rate. [constant]")
@click.option("--queue", type=int, help="Windows that neighbours are found among. [8192]")
@click.option("--seed", type=int, help="[0]")
@click.option(
    "--validation", type=FloatRange(0, 0.5), help="Share of the users held out to choose the best checkpoint. [0.1]"
)
@click.option("--leave-out", "leave_out", help="Users to measure on, with commas: used for nothing here.")
@click.option("--validate-every", type=int, help="Steps. [500]")
@click.option("--save-every", type=int, help="Steps; a stopped run goes on from the last. [500]")
@click.option("--precision", type=click.Choice(["32-true", "64-true", "bf16-mixed", "16-mixed"]), help="[32-true]")
@click.option(
    "--int4-from",
    type=FloatRange(0, 1),
    help="Share of the steps from which on the recurrent weights are of 4 bits (quantization-aware training). [1]",
)
@click.option("--accelerator", default="auto", show_default=True, help="As Lightning names it: cpu, cuda, mps.")
@click.option("--devices", default=1, show_default=True, type=click.IntRange(1), help="Processes on each node.")
@click.option("--nodes", default=1, show_default=True, type=click.IntRange(1), help="Machines.")
@click.option("--threads", type=click.IntRange(1), help="Processor cores of each process. [PyTorch's choice]")
@click.option("--json", "json_wanted", is_flag=True, help="Print the summary as JSON.")
def main(
    prepared: Path,
    folder: Path,
    config: Path | None,
    losses: str | None,
    alpha: float | None,
    beta: float | None,
    gamma: float | None,
    leave_out: str | None,
    accelerator: str,
    devices: int,
    nodes: int,
    threads: int | None,
    json_wanted: bool,
    **options: Any,
) -> None:
    """Pretrain an encoder on the data set that primus-prepare made of PREPARED."""
    from primus_models.preparation import prepared as data

    settings = {name: value for name, value in options.items() if value is not None and value != ()}
    if leave_out is not None:
        settings["leave_out"] = tuple(filter(None, map(str.strip, leave_out.split(","))))
    if (weights := _weights(losses, alpha, beta, gamma)) is not None:
        settings["weights"] = weights
    opened = data.load(prepared)
    fabric, run = _started(accelerator, devices, nodes, threads, config, settings, opened, folder)
    if not fabric.is_global_zero:
        run.train()
        return
    from primus_models.pretraining.logs import Logs

    logs = Logs(folder, run.progress.step, tensorboard=_has("tensorboard"))
    shown = _Shown(run.progress.step)
    try:
        checkpoint = run.train(logs, shown)
    finally:
        logs.close()
        shown.close()
    path = folder / "checkpoint.safetensors"
    summary = {"checkpoint": str(path), "encoder_sha256": checkpoint.sha256} | checkpoint.provenance
    if json_wanted:
        click.echo(json.dumps(summary, indent=2))
        return
    best = f"the best of {len(run.progress.validation)} validations" if run.progress.validation else "the last step"
    click.echo(
        f"wrote {path}: {best}, step {checkpoint.provenance['best_step']} of {run.progress.steps}, "
        f"{run.progress.seconds:.0f} s of training"
    )


def _started(
    accelerator: str,
    devices: int,
    nodes: int,
    threads: int | None,
    config: Path | None,
    settings: dict[str, Any],
    opened: Any,
    folder: Path,
) -> tuple[Any, Any]:
    """Lightning's Fabric, on all processes, and the run."""
    for module, extra in (
        ("torch", "train"),
        ("lightning", "pretrain"),
        ("pydantic", "pretrain"),
        ("yaml", "pretrain"),
    ):
        if not _has(module):
            raise RuntimeUnavailableError(f"{module} is not installed; pip install 'primus-imu[{extra}]' brings it")
    warnings.filterwarnings("ignore", module="lightning")  # hints to developers of training loops
    import torch
    from lightning.fabric import Fabric

    from primus_models.pretraining import configuration
    from primus_models.pretraining.run import Run

    chosen = configuration.read(config, settings)
    if threads:
        torch.set_num_threads(threads)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=chosen.precision)
        fabric.launch()
    except (ValueError, RuntimeError, ImportError) as error:  # what Lightning raises for devices that are not there
        raise PretrainingError(f"cannot start on {devices} x {accelerator}: {' '.join(str(error).split())}") from error
    return fabric, Run(fabric, chosen, opened, folder)


def _weights(losses: str | None, *each: float | None) -> dict[str, float] | None:
    """The weights of ss, mm and nn that were asked for; None: none were."""
    names = ("ss", "mm", "nn")
    if losses is None and all(value is None for value in each):
        return None
    chosen = {part.strip() for part in (losses or "ss,mm,nn").split(",") if part.strip()}
    if unknown := sorted(chosen - set(names)):
        raise click.UsageError(f"there is no loss {unknown[0]!r}; expected some of ss, mm and nn, with commas")
    return {name: (1.0 if value is None else value) for name, value in zip(names, each, strict=True) if name in chosen}


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


class _Shown:
    """A progress bar on a terminal; else a line now and then on stderr."""

    def __init__(self, first: int) -> None:
        console = need("rich.console").Console(stderr=True)
        self._said = first
        self._bar: Any = None
        if console.is_terminal and "NO_PROGRESS" not in os.environ:
            progress = need("rich.progress")
            self._bar = progress.Progress(
                progress.TextColumn("step {task.completed}/{task.total}"),
                progress.BarColumn(),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.description}"),
                console=console,
            )
            self._task = self._bar.add_task("", total=None, completed=first)
            self._bar.start()

    def __call__(self, progress: Progress) -> None:
        text = _text(progress)
        if self._bar is not None:
            self._bar.update(self._task, total=progress.steps, completed=progress.step, description=text)
        elif progress.step == progress.steps or progress.step - self._said >= max(1, progress.steps // 20):
            self._said = progress.step
            click.echo(f"step {progress.step}/{progress.steps}  {text}  {progress.seconds:.0f} s", err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _text(progress: Progress) -> str:
    parts = [f"{name} {value:.3f}" for name, value in progress.losses.items() if "_" not in name]
    if progress.validation:
        parts.append(f"validation {list(progress.validation.values())[-1]:.3f}")
    return "  ".join(parts)


if __name__ == "__main__":
    main()
