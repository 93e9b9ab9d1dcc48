"""Every error a user can meet. Each message says what was expected, what was found and where; `remedy` says what to do.

FovealError
├── SourceError         the images: missing, empty, of an unknown layout
│   ├── UnreadableImage one file cannot be decoded
│   └── OfflineError    something must be downloaded and cannot be
├── SplitError          the images cannot be divided as asked
├── NetError            a network line that cannot be built; names the token
├── RecipeError         a recipe or an option with an impossible value
├── WeightsError        pretrained weights: not there, of another network, of a licence nobody accepted
├── RunError            a run folder: missing, already there, damaged, of other data
├── BundleError         a bundle: missing, already there, damaged, not to be trusted, of a later version
├── ExportRefused       an export disagrees with the network it was made of, or is worse
├── ServeError          a server: an address, a token, a limit, a model that cannot be served
├── TrainingError       training cannot go on
│   ├── NonFiniteLoss   the loss became NaN or infinite; names the batch
│   ├── ProcessLost     another process that trains the same network ended
│   └── LeadEnded       the first of such processes has stopped, and has said why
└── MissingExtra        a verb needs a package that is not installed
"""

__all__ = [
    "BundleError",
    "ExportRefused",
    "FovealError",
    "LeadEnded",
    "MissingExtra",
    "NetError",
    "NonFiniteLoss",
    "OfflineError",
    "ProcessLost",
    "RecipeError",
    "RunError",
    "ServeError",
    "SourceError",
    "SplitError",
    "TrainingError",
    "UnreadableImage",
    "WeightsError",
]


class FovealError(Exception):
    """Something a user can mend.

    Args:
        message: what was expected, what was found, and where (file, line, token).
        remedy: what to do next, an imperative sentence; empty when the message says it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class SourceError(FovealError):
    """The images: missing, empty, or of a layout that no source reads."""


class UnreadableImage(SourceError):
    """One file cannot be decoded; the message is the reason, without the file's name."""


class OfflineError(SourceError):
    """Something must be downloaded and cannot be."""


class SplitError(FovealError):
    """The images cannot be divided into train, validation and test as asked."""


class NetError(FovealError):
    """A network that cannot be built; the message names the token and why."""


class RecipeError(FovealError):
    """A recipe or an option with an impossible value."""


class WeightsError(FovealError):
    """Pretrained weights that cannot be had, belong to another network, or have a licence that nobody accepted."""


class RunError(FovealError):
    """A run folder: missing, already there, damaged, or made from other data."""


class BundleError(FovealError):
    """A bundle: missing, already there, damaged, not to be trusted, or of a version that is not known yet."""


class ExportRefused(FovealError):
    """An export disagrees with the network that it was made of, or answers worse; the message has the numbers."""


class ServeError(FovealError):
    """A server cannot begin or go on so: an address, a token, a limit, or a model that cannot be served."""


class TrainingError(FovealError):
    """Training cannot go on."""


class NonFiniteLoss(TrainingError):
    """The loss became NaN or infinite; the message names epoch, step and images of the batch."""


class ProcessLost(TrainingError):
    """Another of the processes that train one network together ended, or cannot be reached."""


class LeadEnded(TrainingError):
    """The first of the processes that train one network together has stopped, and has told the user why."""


class MissingExtra(FovealError):
    """A verb needs a package that is not installed; the remedy is the `pip install` that mends it."""
