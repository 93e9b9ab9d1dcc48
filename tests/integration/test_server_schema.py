"""What the server says of itself (OpenAPI) is what it does: schemathesis asks for what nobody expects."""

import subprocess
import sys

import pytest

from serving import BUNDLE, Process

pytest.importorskip("schemathesis")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    "arguments",
    [
        # What stands in the schema as an example is answered; of other texts of the right form nobody can expect it,
        # because a schema cannot say what an image is.
        ["--phases", "examples"],
        ["--phases", "coverage,fuzzing", "--max-examples", "12", "--exclude-checks", "positive_data_acceptance"],
    ],
    ids=["examples", "anything"],
)
def test_the_server_does_what_it_says(arguments: list[str]) -> None:
    with Process(f"photos={BUNDLE}") as server:
        host, port = server.address
        url = f"http://{host}:{port}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", url, "--seed", "1", "--no-color", *arguments]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-1000:]
        assert not [line for line in server.lines if line.get("status", 0) >= 500]
        assert not server.of("mistake")
        assert len(server.of("request")) > (3 if "examples" in arguments else 200)
