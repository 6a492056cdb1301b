"""What a run writes for people and for other programs to read: CSV and TensorBoard, by Lightning's loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from primus_models.pretraining.run import Progress

LOGS = "logs"


class Logs:
    """Logs each so many steps, and each validation; a folder for each session, so that resuming overwrites nothing."""

    def __init__(self, folder: Path, first_step: int, every: int = 10, tensorboard: bool = True) -> None:
        """Log into `folder`/logs."""
        from lightning.fabric.loggers.csv_logs import CSVLogger
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        session = f"from-{first_step:07d}"
        self._loggers: list[Any] = [CSVLogger(folder / LOGS, name="csv", version=session, flush_logs_every_n_steps=1)]
        if tensorboard:
            self._loggers.append(TensorBoardLogger(folder / LOGS, name="tensorboard", version=session))
        self._every, self._validated = every, first_step

    def __call__(self, progress: Progress) -> None:
        """Log a step, if it is its turn."""
        step, figures = progress.step, dict[str, float]()
        if step % self._every == 0 or step == progress.steps:
            figures |= {f"train/{name}": value for name, value in progress.losses.items()}
        if (loss := progress.validation.get(step)) is not None and step > self._validated:
            figures["validation/loss"], self._validated = loss, step
        if figures:
            for logger in self._loggers:
                logger.log_metrics(figures, step)

    def close(self) -> None:
        """Write what is left."""
        for logger in self._loggers:
            logger.finalize("success")
