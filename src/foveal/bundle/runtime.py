"""A bundle's network at work: ONNX Runtime, or OpenVINO."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from foveal.bundle.folder import MODEL, Bundle, Graph
from foveal.bundle.guard import AGAIN
from foveal.bundle.predictor import Network, Outputs, Predictor
from foveal.errors import BundleError, FovealError, RecipeError
from foveal.extras import extra
from foveal.task import Task

__all__ = ["OnnxNetwork", "OpenvinoNetwork", "bundle_network", "bundle_predictor"]

INPUT, OUTPUT, STRANGENESS = "pixels", "outputs", "strangeness"
SPIN, SHARED_SPIN = 500, 50  # µs
PIXELS, MOST = 1 << 18, 128  # in a batch, and images at the most, as torch's
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxNetwork:
    """A model in ONNX Runtime: pixels (B, H, W, C) uint8 to raw outputs (B, …) float32.

    Args:
        model: the bytes of a model, checked: they name no other file.
        device: `cpu`, or `cuda` where onnxruntime-gpu is installed; `auto` is the CPU.
        threads: for one image or batch; those of the machine unless said.
        spin: microseconds for which threads look for more to do before they sleep. Waking one up takes longer than most
            layers of a small network; beside other work, such as a server's, looking on takes that work's processors.

    Raises:
        BundleError: ONNX Runtime does not take it.
        RecipeError: the device is not there.
    """

    def __init__(self, model: bytes, device: str = "auto", threads: int | None = None, spin: int = SPIN) -> None:
        import onnxruntime  # a third of a second, which looking and training need not wait for

        self._options = onnxruntime.RunOptions()
        self._options.only_execute_path_to_fetches = True
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # what it warns of concerns graphs, not users
        options.intra_op_num_threads = threads or _processors()
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(spin))
        try:
            self.session = onnxruntime.InferenceSession(model, options, providers=[_provider(device, onnxruntime)])
        except RecipeError:
            raise
        except Exception as error:  # onnxruntime's own types, one for each kind of failure
            raise BundleError(f"ONNX Runtime does not take the model: {error}", remedy=AGAIN) from error

    @property
    def metadata(self) -> dict[str, str]:
        """By key."""
        return dict(self.session.get_modelmeta().custom_metadata_map)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """What the head gives; the nodes that only other outputs need are not run."""
        return self.named(pixels, [OUTPUT])[OUTPUT]

    def observe(self, pixels: np.ndarray) -> Outputs:
        """With the strangeness, of a graph that gives it: of one small image numpy takes as long as a small network."""
        raw, strangeness = self.session.run([OUTPUT, STRANGENESS], {INPUT: pixels}, self._options)
        return Outputs(np.asarray(raw), np.asarray(strangeness))

    def named(self, pixels: np.ndarray, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Those outputs, all of them unless said."""
        return self.feed({INPUT: pixels}, names)

    def feed(self, inputs: Mapping[str, np.ndarray], names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Likewise of inputs by name."""
        names = list(names or (value.name for value in self.session.get_outputs()))
        found = self.session.run(names, dict(inputs), self._options)
        return {name: np.asarray(value) for name, value in zip(names, found)}

    def check(self, graph: Graph) -> None:
        """That it takes and gives what the bundle says.

        Raises:
            BundleError: something else.
        """
        for what, said, values in (
            ("takes", graph.inputs, self.session.get_inputs()),
            ("gives", graph.outputs, self.session.get_outputs()),
        ):
            found = {value.name: (_plain(value.type), tuple(value.shape)) for value in values}
            wanted = {name: (value.dtype, tuple(value.shape)) for name, value in said.items()}
            if found != wanted:
                raise BundleError(f"The model {what} {found}, and bundle.json says {wanted}.", remedy=AGAIN)


class OpenvinoNetwork:
    """A model in OpenVINO: pixels (B, H, W, C) uint8 to raw outputs (B, …) float32.

    Raises:
        MissingExtra: OpenVINO is not installed.
    """

    def __init__(self, xml: bytes, weights: bytes) -> None:
        with extra("openvino"):
            import openvino  # pyright: ignore[reportMissingImports]
        core = openvino.Core()
        tensor = openvino.Tensor(np.frombuffer(weights, np.uint8)) if weights else openvino.Tensor()
        exact = {"INFERENCE_PRECISION_HINT": "f32"}  # else bfloat16 where the processor has it
        self._model = core.compile_model(core.read_model(xml, tensor), "CPU", exact)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        request = self._model.create_infer_request()  # one may not be shared by threads
        return np.array(request.infer({INPUT: pixels})[OUTPUT])


def bundle_predictor(
    bundle: Bundle, task: Task, device: str = "auto", threads: int | None = None, *, shared: bool = False
) -> Predictor:
    """What answers for a bundle that needs no torch; it has answered one image.

    Args:
        threads: of ONNX Runtime, for one image or batch; those of the machine unless said.
        shared: whether the process has other work for the processors, as a server has.

    Raises:
        BundleError: the model is not what the bundle says, or cannot answer.
        MissingExtra: what runs it is not installed.
        RecipeError: the device is not there.
    """
    manifest, network = bundle.manifest, bundle_network(bundle, device, threads, shared=shared)
    gives = manifest.graph.outputs if manifest.graph else {}
    predictor = Predictor(
        origin=bundle.path,
        task=task,
        contract=manifest.input,
        labels=manifest.labels,
        settled=manifest.settled,
        network=network,
        largest=min(max(1, PIXELS // (manifest.input.height * manifest.input.width)), MOST),
        observe=network.observe if isinstance(network, OnnxNetwork) and STRANGENESS in gives else None,
    )
    try:
        predictor(np.zeros((manifest.input.height, manifest.input.width), np.uint8))
    except FovealError:
        raise
    except Exception as error:  # whatever numpy or the runtime make of numbers that cannot be
        raise BundleError(f"{bundle.path} cannot answer: {type(error).__name__}: {error}", remedy=AGAIN) from error
    return predictor


def bundle_network(
    bundle: Bundle, device: str = "auto", threads: int | None = None, *, shared: bool = False
) -> Network:
    """The network of a bundle that needs no torch.

    Raises:
        BundleError: the model is not what the bundle says.
        MissingExtra: what runs it is not installed.
        RecipeError: the device is not there.
    """
    if bundle.manifest.kind == "openvino":
        return OpenvinoNetwork(bundle.contents["model.xml"], bundle.contents["model.bin"])
    network = OnnxNetwork(bundle.contents[MODEL], device, threads, SHARED_SPIN if shared else SPIN)
    if bundle.manifest.graph is None:
        raise BundleError(f"{bundle.path} does not say what its graph takes and gives.", remedy=AGAIN)
    network.check(bundle.manifest.graph)
    found = network.metadata
    for key, stated in bundle.stated.items():
        if _parsed(found.get(key)) != json.loads(stated):
            raise BundleError(
                f"{bundle.path / MODEL} and bundle.json do not belong together: their {key.split('.')[-1]} differ.",
                remedy=AGAIN,
            )
    return network


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _provider(device: str, onnxruntime: Any) -> str:
    wanted = PROVIDERS.get("cpu" if device == "auto" else device)
    there = [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
    if wanted is None or wanted not in onnxruntime.get_available_providers():
        raise RecipeError(
            f"Expected one of the devices that a bundle can use here ({', '.join(there)}), got {device!r}."
        )
    return wanted


def _plain(kind: str) -> str:
    """`tensor(uint8)` to `uint8`."""
    return {"tensor(float)": "float32"}.get(kind, kind.removeprefix("tensor(").removesuffix(")"))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
