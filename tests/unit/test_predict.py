"""Many images through a trained network: in order, as they come, never far ahead, whatever one of them holds."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import foveal
from foveal.bundle import Predictor
from foveal.bundle.ahead import ahead
from foveal.cli import main
from foveal.engine.infer import BATCH_TOLERANCE, batch_size, infer
from foveal.engine.predictor import TorchNetwork
from foveal.errors import RecipeError, UnreadableImage
from foveal.nets.layers import build
from foveal.recipe import InputContract
from foveal.run import Run
from foveal.task import FileAnswer
from foveal.tasks import TASKS

CPU = torch.device("cpu")


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "foveal-ahead"]


def until(true: Callable[[], object]) -> None:
    """Wait for what other threads do; a test that waits in vain fails."""
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Learnt to tell dark from light."""
    root = tmp_path_factory.mktemp("trained")
    rng = np.random.default_rng(0)
    for label, level in {"dark": 50, "light": 200}.items():
        (root / "photos" / label).mkdir(parents=True)
        for i in range(24):
            pixels = np.clip(rng.normal(level, 20, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "photos" / label / f"{i:02}.png")
    settings = {"epochs": 3, "batch_size": 8, "translate": 0, "flip": False}
    return foveal.train(root / "photos", out=root / "run", net="8c3same-mp2-16c3same-gap", seed=1, **settings)


@pytest.fixture
def predictor(trained: Run) -> Predictor:
    return foveal.load(trained, device="cpu")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Nineteen images, each brighter than the one before: no two have the same answer."""
    paths = [tmp_path / f"{i:02}.png" for i in range(19)]
    for i, path in enumerate(paths):
        Image.fromarray(np.full((15, 11, 3), 10 + 12 * i, np.uint8)).save(path)
    return paths


class Counted:
    """Items that say how many were taken."""

    def __init__(self, n: int) -> None:
        self.n, self.taken = n, 0

    def __iter__(self) -> Iterator[int]:
        for i in range(self.n):
            self.taken += 1
            yield i


def test_ahead_keeps_the_order_and_stays_within_its_bound() -> None:
    items = Counted(200)
    for done, result in enumerate(ahead(lambda i: time.sleep(0.001 * (i % 3)) or i * i, items, most=10, workers=4)):
        assert result == done**2
        assert items.taken <= min(done + 10, 2 * done + 5)
    assert items.taken == 200
    assert not workers()


def test_ahead_works_while_the_consumer_does_something_else() -> None:
    made = []
    results = ahead(lambda i: made.append(i) or i, range(100), most=8, workers=2)
    assert [next(results) for _ in range(20)] == list(range(20))
    until(lambda: len(made) == 27)
    results.close()
    assert len(made) == 27


def test_ahead_gives_an_error_its_turn() -> None:
    def function(i: int) -> float:
        return 1 / (i - 3)

    results = ahead(function, range(10), most=10, workers=2)
    assert [next(results) for _ in range(3)] == [-1 / 3, -0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not workers()


def test_ahead_is_closed_while_a_thread_is_stuck() -> None:
    release = threading.Event()
    results = ahead(lambda i: release.wait(30) if i else i, range(5), most=5, workers=2)
    assert next(results) == 0
    until(lambda: len(workers()) == 2)
    results.close()
    release.set()
    until(lambda: not workers())


def test_ahead_needs_no_thread_for_what_takes_no_time() -> None:
    threads = []
    results = ahead(lambda i: threads.append(threading.current_thread()) or i, range(12), 4, 2, lambda i: i < 8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert not workers()
    assert list(results) == list(range(3, 12))
    main = threading.main_thread()
    assert [thread is main for thread in threads] == [True] * 8 + [False] * 4
    assert not workers()


def test_many_answers_as_one_by_one(predictor: Predictor, files: list[Path]) -> None:
    together = list(predictor.many(files))
    alone = [predictor(file) for file in files]
    assert [answer.label for answer in together] == [answer.label for answer in alone]
    shares = [answer.probabilities["dark"] for answer in together]
    np.testing.assert_allclose(shares, [answer.probabilities["dark"] for answer in alone], atol=1e-6)
    assert len(set(shares)) == 19, "answers that are all the same would hide a wrong order"


def test_many_takes_what_one_call_takes(predictor: Predictor, files: list[Path]) -> None:
    pixels = np.asarray(Image.open(files[12]))
    forms = [str(files[12]), files[12], files[12].read_bytes(), pixels, Image.open(files[12])]
    answers = list(predictor.many(image for image in forms))
    assert [answer.as_dict()["label"] for answer in answers] == ["light"] * 5
    for answer in answers:
        assert answer.as_dict()["probability"] == pytest.approx(predictor(pixels).as_dict()["probability"], abs=1e-6)


def test_pixels_may_change_when_the_next_are_taken(predictor: Predictor) -> None:
    """A camera fills the same array again and again."""

    def camera() -> Iterator[np.ndarray]:
        frame = np.empty((12, 12, 3), np.uint8)
        for level in (20, 230, 20, 230, 230, 20, 20):
            frame[:] = level
            yield frame

    expected = ["dark", "light", "dark", "light", "light", "dark", "dark"]
    assert [answer.as_dict()["label"] for answer in predictor.many(camera())] == expected


def test_the_first_answer_waits_for_few_images(predictor: Predictor, files: list[Path]) -> None:
    taken = []
    answers = predictor.many(taken.append(i) or files[i % 19] for i in range(1000))
    assert next(answers).as_dict()["label"] == "dark"
    assert len(taken) <= 2 + (os.cpu_count() or 1)
    for done in range(1, 600):
        next(answers)
        assert len(taken) <= done + 3 * batch_size(12, 12, CPU)
    answers.close()
    assert not workers()


def test_batches_double_up_to_the_largest(
    predictor: Predictor, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    predictor = replace(predictor, largest=12)
    assert isinstance(predictor.network, TorchNetwork)
    predictor.network.module.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    assert len(list(predictor.many(files * 2))) == 38
    assert sizes == [1, 2, 4, 8, 12, 11]


def test_batch_size_goes_by_pixels() -> None:
    assert [batch_size(side, side, CPU) for side in (8, 32, 64, 224, 2000)] == [128, 128, 64, 5, 1]
    assert [batch_size(side, side, torch.device("cuda")) for side in (32, 224, 4000)] == [512, 83, 1]


def test_one_that_cannot_be_read_disturbs_no_other(predictor: Predictor, files: list[Path]) -> None:
    expected = [answer.as_dict() for answer in predictor.many(files)]
    jpeg = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(jpeg, "jpeg")
    files[3].write_text("hello")
    files[4].unlink()
    files[8].write_bytes(jpeg.getvalue()[:200])
    files[9].unlink()
    files[9].mkdir()
    bad = {3: "the text", 4: "cannot be opened", 8: "truncated", 9: "cannot be opened"}
    answers = list(predictor.many(files))
    assert len(answers) == 19
    for row, (answer, was) in enumerate(zip(answers, expected, strict=True)):
        if row in bad:
            assert isinstance(answer, UnreadableImage)
            assert bad[row] in answer.message
        else:
            assert answer.as_dict()["probability"] == pytest.approx(was["probability"], abs=1e-6)
    broken = Image.open(io.BytesIO(jpeg.getvalue()[:-20]))
    first, second = predictor.many([broken, files[0]])
    assert isinstance(first, UnreadableImage)
    assert second.as_dict()["label"] == "dark"


def test_a_file_that_vanishes_on_the_way(trained: Run, files: list[Path]) -> None:
    answers = foveal.predict(trained, files[0].parent, device="cpu")
    first = next(answers)
    files[-1].unlink()
    rest = list(answers)
    assert [Path(answer.file) for answer in (first, *rest)] == files
    assert [answer.error is None for answer in rest] == [True] * 17 + [False]
    assert "No such file" in (rest[-1].error or "")


def test_no_images_no_answers(predictor: Predictor) -> None:
    assert list(predictor.many([])) == []


def test_predict_tells_its_progress_and_closes(predictor: Predictor, files: list[Path]) -> None:
    told = []
    answers = foveal.predict(predictor, files[0].parent, progress=lambda *what: told.append(what))
    assert isinstance(next(answers), FileAnswer)
    assert told == []
    next(answers)
    assert told == [("predicting", 1, 19)]
    answers.close()
    assert not workers()


@pytest.mark.parametrize("net", ["16c3-mp2-32c3-mp2-64n", "16c3same:none-bn:relu-r(16c3same:none-bn:relu)-gap"])
def test_outputs_are_the_same_whatever_the_batch(net: str) -> None:
    """To the tolerance that the module states, and the kernels of a CPU do differ by batch."""
    task = TASKS["classification"]
    network = build(net, InputContract(height=32, width=32, channels=3), task.head, 10, seed=2)
    network = network.to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
    pixels = np.random.default_rng(0).integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)
    whole = infer(network, pixels, np.arange(150), CPU)
    assert whole.shape == (150, 10)
    for size in (1, 2, 3, 7, 32):
        rows = np.arange(0, 2 * size)
        parts = [infer(network, pixels, rows[i : i + size], CPU) for i in range(0, len(rows), size)]
        assert np.abs(np.concatenate(parts) - whole[rows]).max() <= BATCH_TOLERANCE * np.abs(whole).max()


def test_the_device_is_chosen(trained: Run, files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RecipeError, match="got 'toaster'"):
        foveal.predict(trained, files[0], device="toaster")
    for device, code in (("cpu", 0), ("toaster", 1)):
        with pytest.raises(SystemExit) as left:
            main(["predict", str(trained.path), str(files[0]), "--device", device])
        assert int(left.value.code or 0) == code
        said = capsys.readouterr()
        assert ("dark" in said.out, "'toaster'" in said.err) == (code == 0, code == 1)


def test_many_files_are_counted_on_stderr(trained: Run, files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    files[5].write_text("hello")
    with pytest.raises(SystemExit) as left:
        main(["predict", str(trained.path), str(files[0].parent), "--json"])
    said = capsys.readouterr()
    assert left.value.code == 1
    assert len(said.out.splitlines()) == 19
    assert said.err == "18 answered, 1 unreadable\n"


def command(trained: Run, *images: Path) -> list[str]:
    return [sys.executable, "-m", "foveal", "predict", str(trained.path), *map(str, images), "--json"]


def test_a_reader_that_leaves_gets_no_traceback(trained: Run, files: list[Path]) -> None:
    process = subprocess.Popen(command(trained, *files * 200), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_ctrl_c_keeps_what_was_answered(trained: Run, files: list[Path], tmp_path: Path) -> None:
    """Even while a thread waits for a file that never comes."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    images = (*files[:4], pipe)
    process = subprocess.Popen(
        command(trained, *images),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(3)]  # batches of 1 and 2; the next waits for the pipe
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert ["dark" in line for line in first] == [True] * 3
    assert rest == ""
    assert err == "stopped: 3 answered, 0 unreadable\n"
