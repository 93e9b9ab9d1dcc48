"""A data set of the Hugging Face hub: downloaded once into the hub's own cache, then read as what it is."""

import re
from pathlib import Path
from typing import Any

from foveal.data.sources.archive import ARCHIVE_SUFFIXES, open_archive
from foveal.data.sources.folder import open_folder
from foveal.data.sources.layout import IMAGE_SUFFIXES
from foveal.data.sources.reading import AS_FOUND
from foveal.errors import OfflineError, SourceError
from foveal.extras import extra
from foveal.types import Progress, Reading, Source

__all__ = ["HUB", "open_hub"]

HUB = "hf:"
SPEC = re.compile(r"hf:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")


def open_hub(spec: str, reading: Reading = AS_FOUND, *, progress: Progress | None = None) -> Source:
    """`hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION`. What is opened names the commit, so that a later change on the hub
    does not change it.

    Raises:
        OfflineError: it is not in the cache and cannot be downloaded.
        SourceError: there is none of that name, or it holds nothing that can be read.
        MissingExtra: huggingface_hub is not installed.
    """
    told = SPEC.fullmatch(spec)
    if told is None:
        raise SourceError(f"Expected hf:OWNER/NAME or hf:OWNER/NAME@REVISION, found {spec!r}.")
    repository = f"{told['owner']}/{told['name']}"
    if progress:
        progress(f"downloading {repository}", 0, 0)
    folder = Path(_download(repository, told["revision"], spec))
    fixed = f"{HUB}{repository}@{folder.name}" if COMMIT.fullmatch(folder.name) else spec
    about = {"name": told["name"], "spec": fixed}
    archives = _archives(folder)
    if len(archives) > 1:
        names = ", ".join(sorted(archive.name for archive in archives))
        raise SourceError(
            f"Expected one archive in {spec}, found {len(archives)} in {folder}: {names}.",
            remedy="Unpack them into one folder, and give that folder.",
        )
    return open_archive(archives[0], reading, **about) if archives else open_folder(folder, reading, **about)


def _archives(folder: Path) -> list[Path]:
    """The archives of a folder that holds neither images nor Parquet beside them."""
    names = [path for path in folder.rglob("*") if path.is_file()]
    if any(path.name.casefold().endswith((*IMAGE_SUFFIXES, ".parquet")) for path in names):
        return []
    return [path for path in names if path.name.casefold().endswith(ARCHIVE_SUFFIXES)]


def _download(repository: str, revision: str | None, spec: str) -> str:
    with extra("train"):
        from huggingface_hub import errors, snapshot_download
    missing: Any = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)
    try:
        return snapshot_download(repository, repo_type="dataset", revision=revision)
    except missing as error:
        raise SourceError(
            f"Expected a data set at {spec}, found none that may be read: {_first_line(error)}",
            remedy="Check the name; log in with `hf auth login` if it is private, or accept its terms on its page.",
        ) from error
    except Exception as error:  # which kinds there are depends on the version and on what carries the bytes
        raise OfflineError(
            f"{spec} is not on this machine, and cannot be downloaded: {_first_line(error)}",
            remedy="Try again with a network and without HF_HUB_OFFLINE; or download it on another machine "
            f"(hf download --repo-type dataset {repository} --local-dir FOLDER) and give the folder.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
