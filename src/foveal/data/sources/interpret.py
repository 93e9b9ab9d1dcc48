"""What the files of a folder or an archive mean: a pattern reads their names, a table is among them, or folders are
classes."""

from collections.abc import Callable, Collection

from foveal.data.sources.layout import Layout, arrange
from foveal.data.sources.metadata import by_metadata
from foveal.data.sources.pattern import by_pattern
from foveal.data.sources.reading import refuse
from foveal.types import Reading

__all__ = ["interpret"]


def interpret(
    files: Collection[str], folders: Collection[str], read: Callable[[str], bytes], reading: Reading, spec: str
) -> Layout:
    """
    Args:
        files: all files, hidden ones too, with `/`.
        folders: the folders that are listed as such.
        read: the bytes of a file.
        spec: for messages.

    Raises:
        SourceError: what was said does not fit what is there.
    """
    if reading.pattern:
        return by_pattern(files, folders, reading)
    layout = by_metadata(files, folders, read, reading)
    if layout is None:
        refuse(reading, spec, "folders of classes")
        layout = arrange(files, folders)
    return layout
