"""Screen: what the command line shows. Results go to stdout, everything else to stderr."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 5.0
WIDTH_WITHOUT_TERMINAL = 120


class Screen:
    """Draws progress on a terminal, or writes a line now and then where stderr is a file; fulfils the Progress protocol."""

    def __init__(self) -> None:
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line: dict[str, float] = {}

    def __enter__(self) -> "Screen":
        if self.err.is_terminal:
            note = TextColumn("{task.fields[note]}")
            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), note, TimeRemainingColumn())
            self._bars = Progress(*columns, console=self.err, transient=True)
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield `items` one by one while showing how far it is."""
        if total is None:
            total = len(items) if isinstance(items, Sized) else 0
        for done, item in enumerate(items):
            self.update(label, done, total)
            yield item
        self.update(label, total, total)

    def message(self, text: str) -> None:
        """Show one line on stderr."""
        self.err.print(text, markup=False, highlight=False, soft_wrap=True)

    def update(self, label: str, done: int | float, total: int | float, note: str = "") -> None:
        """Move the bar of `label`, or write a line at its end and every few seconds."""
        if self._bars is not None:
            self._move_bar(self._bars, label, done, total, note)
            return
        now = time.monotonic()
        last = self._last_line.setdefault(label, now)
        if now - last >= SECONDS_BETWEEN_LINES:
            share = f"{100 * done / total:.0f} %" if total else f"{done:g}"
            self.message(f"{label}: {share} {note}".rstrip())
            self._last_line[label] = now
        if total and done >= total:
            del self._last_line[label]

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table on stdout; every column but the first is aligned right where it holds numbers."""
        table = Table(title=title or None, title_justify="left")
        body = [[str(cell) for cell in row] for row in rows]
        for place, name in enumerate(columns):
            is_number = bool(body) and all(_is_number(row[place]) for row in body)
            table.add_column(name, justify="right" if is_number else "left", overflow="fold")
        for row in body:
            table.add_row(*(_plain(cell) for cell in row))
        self.out.print(table)

    def metrics(self, title: str, by_name: Mapping[str, Mapping[str, float]]) -> None:
        """Print one row of metrics per ranker."""
        names = list(dict.fromkeys(metric for metrics in by_name.values() for metric in metrics))
        rows = [[name, *(f"{metrics[m]:.4f}" if m in metrics else "" for m in names)] for name, metrics in by_name.items()]
        self.table(title, ["", *names], rows)

    def line(self, text: str) -> None:
        """Print one line on stdout, unbroken."""
        self.out.print(text, markup=False, highlight=False, soft_wrap=True)

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """Print a heading and lines of text on stdout."""
        self.out.print(f"\n{title}", style="bold", markup=False, highlight=False)
        for line in lines:
            self.line(f"  {line}")

    def json(self, value: Any) -> None:
        """Print `value` as JSON on stdout."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def _move_bar(self, bars: Progress, label: str, done: int | float, total: int | float, note: str) -> None:
        if label not in self._tasks:
            self._tasks[label] = bars.add_task(label, total=total or None, note=note)
        bars.update(self._tasks[label], completed=done, total=total or None, note=note)
        if total and done >= total:
            bars.remove_task(self._tasks.pop(label))


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave a closed pipe, such as that of `| head`, to `main`, instead of ending the process with 1."""
        raise BrokenPipeError


def _console(stderr: bool) -> Console:
    console = _Console(stderr=stderr)
    return console if console.is_terminal else _Console(stderr=stderr, width=WIDTH_WITHOUT_TERMINAL)


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")
