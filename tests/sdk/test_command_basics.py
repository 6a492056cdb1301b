"""What every console command shares: errors of one line, and scores."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from primus_sdk.commands._cli import click, command, need
from primus_sdk.commands._scores import scores
from primus_sdk.errors import OutputError, StreamError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StreamError("two\nlines"), "Error: two lines"),
        (OutputError("cannot write x"), "Error: cannot write x"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), "Error: x.csv: No such file or directory"),
    ],
)
def test_any_commands_error_is_one_line_and_status_1(error: Exception, line: str) -> None:
    @command()
    def failing() -> None:
        raise error

    result = CliRunner().invoke(failing)
    assert (result.exit_code, result.stderr) == (1, line + "\n")


def test_ctrl_c_ends_a_command_without_a_traceback() -> None:
    @command()
    def interrupted() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(interrupted)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_what_the_commands_need_is_imported_by_name() -> None:
    assert need("click") is click


def test_scores_are_those_of_the_textbook() -> None:
    result = scores(["a", "a", "a", "b"], ["a", "a", "b", "c"])
    assert result.labels == ("a", "b", "c")
    assert (result.windows, result.accuracy, result.chance) == (4, 0.5, 0.75)
    np.testing.assert_allclose(result.recall, [2 / 3, 0, 0])
    np.testing.assert_allclose(result.precision, [1, 0, 0])
    np.testing.assert_allclose(result.f1, [0.8, 0, 0])
    assert result.macro_f1 == pytest.approx(0.4)  # of the two classes that occur
