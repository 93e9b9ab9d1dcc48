"""From somebody's files to a `Dataset`: find, decode, look, divide. What needs torch is in `foveal.data.batches`."""

from foveal.data.decisions import check_proposal, write_proposal
from foveal.data.look import look
from foveal.data.sources import open_source
from foveal.data.split import divide, read_split, write_split
from foveal.data.summary import summary

__all__ = ["check_proposal", "divide", "look", "open_source", "read_split", "summary", "write_proposal", "write_split"]
