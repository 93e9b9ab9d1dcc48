"""Names of files on a page: where a line may end in one, and where not."""

import re

__all__ = ["file_name"]

BREAK = re.compile(r"(?<=[/\\_-])(?![/\\_-])")
EXTENSION = re.compile(r"(?<=.)(?:\.[A-Za-z][A-Za-z0-9]{0,4}){1,2}$", re.DOTALL)  # `.jpg`, `.nii.gz`, `.jpg.chip`


def file_name(name: str) -> str:
    """HTML of a name, which is treated as hostile. A line may end behind separators, and never inside the extension;
    elsewhere only where a part is longer than the line (`overflow-wrap: anywhere`)."""
    from markupsafe import Markup

    extension = EXTENSION.search(name)
    stem, end = (name[: extension.start()], extension.group()) if extension else (name, "")
    whole = Markup('<span class="whole">{}</span>').format(end) if end else ""
    return Markup("<wbr>").join(BREAK.split(stem)) + whole
