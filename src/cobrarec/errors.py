"""Everything cobrarec raises on purpose.

CobraRecError
|-- UserError            what was given cannot be used; the message says what, what was expected and the way out (exit code 2)
|   |-- DataError          a table, a file or an id
|   |-- ConfigError        an unknown key, a wrong type, a value out of range
|   |-- CollapseError      semantic IDs that do not tell items apart
|   |-- ArtifactError      a damaged, altered or other-version artifact
|   |-- RunError           a run folder that holds something else, or lacks a step
|   `-- MissingExtraError  an optional dependency that is not installed
|-- MachineError         the disk is full, the memory is spent (exit code 3)
|   `-- UnsureError        the disk failed, and it is open whether what was asked for was done
`-- Interrupted          stopped by the user; a checkpoint is on disk (exit code 130)
"""


class CobraRecError(Exception):
    """Root of the tree; catch it to catch everything cobrarec raises on purpose."""


class UserError(CobraRecError):
    """What was given cannot be used."""


class DataError(UserError):
    """A table, a file or an id cannot be used."""


class ConfigError(UserError):
    """A configuration key or value cannot be used."""


class CollapseError(UserError):
    """The semantic IDs do not tell the items apart."""


class ArtifactError(UserError):
    """An artifact is damaged, altered or of another version."""


class RunError(UserError):
    """A run folder holds another run or lacks a step."""


class MissingExtraError(UserError):
    """An optional dependency is not installed; the message names its `pip install` line."""


class MachineError(CobraRecError):
    """The machine ran out of disk or memory."""


class UnsureError(MachineError):
    """The disk failed at a moment that leaves open whether what was asked for was done."""


class Interrupted(CobraRecError):  # noqa: N818 - it is no error
    """The user stopped the work; what was done is on disk and can be resumed."""
