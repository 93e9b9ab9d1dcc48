"""Outliers: how many strangers `look` finds among images of another kind, and what it flags in sets as they are.

    python benchmarks/outliers.py [--sheet sheet.png] [--only utkface lfw]

Sets are read from the folder that FOVEAL_DATA names. Of each kind 20 strangers are made, of the size of an image of the
set and as JPEG, and planted five at a time, four times. The design was chosen on the sets of `CHOSEN_ON`; the others
were looked at once it was done. --sheet draws what is flagged in the sets as they are, to be looked at by a person.
"""

import argparse
import io
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import machine, table, warn_if_busy
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from foveal import Reading
from foveal.data.far import distances, far_from_others, offs, threshold
from foveal.data.seen import Seen, see
from foveal.data.sources import open_source
from foveal.errors import UnreadableImage
from foveal.readers import ImageReader

CHOSEN_ON = ("cats_dogs", "bccd", "chest_xray3", "cifar10")
SETS = {
    "cats_dogs": ("cats_dogs.zip", "chest_xray3"),
    "bccd": ("bccd.zip", "cats_dogs"),
    "chest_xray3": ("chest_xray3.zip", "cats_dogs"),
    "cifar10": ("cifar10.zip", "pneumoniamnist"),
    "utkface": ("utkface.zip", "bccd"),
    "lfw": ("lfw.zip", "chest_xray3"),
    "orl_faces": ("orl_faces.zip", "cats_dogs"),
    "pneumoniamnist": ("pneumoniamnist.npz", "cifar10"),
    "lung_seg": ("lung_seg.zip", "lfw"),
}
"""Name to its file, and the set that images of another kind are taken from."""
EACH, PLANTED = 20, 5
WORDS = (
    "the",
    "of",
    "and",
    "image",
    "in",
    "that",
    "measured",
    "it",
    "was",
    "for",
    "network",
    "are",
    "with",
    "his",
    "they",
)
READER = ImageReader()
THUMBNAIL, COLUMNS = 112, 10
Rng = np.random.Generator
Make = Callable[[Image.Image, Rng], Image.Image]


def blank(image: Image.Image, rng: Rng) -> Image.Image:
    return _pixels(rng.integers(225, 256) + rng.normal(0, 1.5, (image.height, image.width, 3)))


def black(image: Image.Image, rng: Rng) -> Image.Image:
    return _pixels(rng.integers(0, 12) + rng.normal(0, 2, (image.height, image.width, 3)))


def noise(image: Image.Image, rng: Rng) -> Image.Image:
    return _pixels(rng.integers(0, 256, (image.height, image.width, 3)))


def text_page(image: Image.Image, rng: Rng) -> Image.Image:
    size = int(rng.integers(11, 20))
    page = Image.new("RGB", (620, 877), (int(rng.integers(235, 256)),) * 3)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for y in range(60, 820, int(1.5 * size)):
        draw.text((60, y), _words(rng, int(rng.integers(5, 11))), fill=(30, 30, 30), font=font)
    return page.resize(image.size, Image.Resampling.BILINEAR)


def line_drawing(image: Image.Image, rng: Rng) -> Image.Image:
    page = Image.new("RGB", (400, 400), "white")
    draw = ImageDraw.Draw(page)
    for _ in range(int(rng.integers(6, 25))):
        (x0, x1), (y0, y1), width = np.sort(rng.integers(0, 400, 2)), rng.integers(0, 400, 2), rng.integers(2, 7)
        if rng.random() < 0.5:
            draw.ellipse((int(x0), int(min(y0, y1)), int(x1), int(max(y0, y1))), outline="black", width=int(width))
        else:
            draw.line([(int(x0), int(y0)), (int(x1), int(y1))], fill="black", width=int(width))
    return page.resize(image.size, Image.Resampling.BILINEAR)


def screenshot(image: Image.Image, rng: Rng) -> Image.Image:
    ground = ((255, 255, 255), (240, 240, 240), (30, 30, 34))[rng.integers(3)]
    ink = (20, 20, 20) if ground[0] > 128 else (220, 220, 220)
    accent = tuple(rng.integers(30, 200, 3).tolist())
    page = Image.new("RGB", (800, 600), ground)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    draw.rectangle((0, 0, 800, 36), fill=accent)
    draw.rectangle((0, 36, 160, 600), fill=tuple(int(0.93 * value) for value in ground))
    for y in range(50, 580, 26):
        draw.text((12, y), _words(rng, 2), fill=ink, font=font)
        draw.text((180, y), _words(rng, int(rng.integers(0, 16))), fill=ink, font=font)
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.integers(200, 650)), int(rng.integers(60, 500))
        draw.rectangle((x, y, x + 110, y + 34), fill=accent)
    return page.resize(image.size, Image.Resampling.BILINEAR)


def chart(image: Image.Image, rng: Rng) -> Image.Image:
    page = Image.new("RGB", (500, 400), "white")
    draw, bars = ImageDraw.Draw(page), int(rng.integers(4, 12))
    draw.line([(50, 20), (50, 360), (480, 360)], fill="black", width=2)
    for k in range(bars):
        left, height = 60 + k * 400 // bars, int(rng.integers(20, 320))
        draw.rectangle((left, 360 - height, left + 300 // bars, 360), fill=tuple(rng.integers(0, 220, 3).tolist()))
    return page.resize(image.size, Image.Resampling.BILINEAR)


def inverted(image: Image.Image, rng: Rng) -> Image.Image:
    return ImageOps.invert(image)


def red_and_blue_exchanged(image: Image.Image, rng: Rng) -> Image.Image:
    return Image.merge("RGB", image.split()[::-1])


def tinted(image: Image.Image, rng: Rng) -> Image.Image:
    shares = ((1.3, 0.35, 0.35), (0.35, 1.3, 0.4), (0.35, 0.45, 1.3))[rng.integers(3)]
    return _pixels(np.asarray(image) * np.array(shares))


def without_colour(image: Image.Image, rng: Rng) -> Image.Image:
    return image.convert("L").convert("RGB")


def cut_off(image: Image.Image, rng: Rng) -> Image.Image:
    """Gray from a quarter to half of the height on, as decoders show a file that ends too early."""
    pixels = np.array(image)
    pixels[int(image.height * rng.uniform(0.25, 0.5)) :] = 128
    return Image.fromarray(pixels)


def blurred(image: Image.Image, rng: Rng) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 12))


def underexposed(image: Image.Image, rng: Rng) -> Image.Image:
    return Image.eval(image, lambda value: int(0.12 * value))


def overexposed(image: Image.Image, rng: Rng) -> Image.Image:
    return Image.eval(image, lambda value: min(255, 100 + int(1.8 * value)))


def upside_down(image: Image.Image, rng: Rng) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_180)


OTHER = "of another set"
KINDS: dict[str, Make] = {
    make.__name__.replace("_", " "): make
    for make in (
        *(blank, black, noise, text_page, line_drawing, screenshot, chart),
        *(tinted, without_colour, cut_off, blurred, underexposed, overexposed),
        *(inverted, red_and_blue_exchanged, upside_down),
    )
}


PLAIN = ("blank", "black", "noise", "text page", "line drawing", "chart")
BAGS = (0.01, 0.03, 0.05)


def _pixels(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def _words(rng: Rng, count: int) -> str:
    return " ".join(rng.choice(WORDS, count))


class Images:
    """What is seen of a set, images of the same pixels once."""

    def __init__(self, name: str, most: int = 60_000) -> None:
        spec = Path(os.environ["FOVEAL_DATA"]) / SETS[name][0]
        self.source = open_source(str(spec), Reading(pattern=r"^(?P<age>\d+)_") if name == "utkface" else Reading())
        files = [entry.file for entry in self.source.entries() if "masks/" not in entry.file]
        self.files, self.seen, known, start = [], [], set(), time.process_time()
        for number in np.random.default_rng(0).permutation(len(files))[:most]:
            try:
                facts = see(READER, self.source.read(files[number]))[0]
            except UnreadableImage:
                continue
            if facts.content not in known:
                known.add(facts.content)
                self.files.append(files[number])
                self.seen.append(facts)
        self.seconds = time.process_time() - start

    def picture(self, number: int) -> Image.Image:
        array = READER.inspect(self.source.read(self.files[number]))[0]
        return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array).convert("RGB")

    def any(self, rng: Rng) -> Image.Image:
        return self.picture(int(rng.integers(len(self.files))))


def strangers(images: Images, others: Images, make: Make | None, rng: Rng) -> list[Seen]:
    found = []
    for _ in range(EACH):
        image, buffer = images.any(rng), io.BytesIO()
        made = make(image, rng) if make else others.any(rng).resize(image.size, Image.Resampling.BILINEAR)
        made.save(buffer, "JPEG", quality=88)
        found.append(see(READER, buffer.getvalue())[0])
    return found


def found_of(images: Images, planted: list[Seen]) -> float:
    found = 0
    for start in range(0, EACH, PLANTED):
        some = planted[start : start + PLANTED]
        far = {content for content, *_ in far_from_others([*images.seen, *some])}
        found += sum(facts.content in far for facts in some)
    return found / EACH


def mixed(images: Images, planted: list[Seen], share: float, rng: Rng) -> str:
    """How many are found of strangers that are a share of the set; it is made smaller where they are few."""
    count = min(len(planted), round(share * len(images.seen) / (1 - share)))
    some = [planted[k] for k in rng.permutation(len(planted))[:count]]
    rest = [images.seen[k] for k in rng.permutation(len(images.seen))[: round(count * (1 - share) / share)]]
    far = {content for content, *_ in far_from_others([*rest, *some])}
    return f"{sum(facts.content in far for facts in some) / count:.2f}"


def measured(name: str, sheet: Path | None) -> tuple[list[str], dict[str, float], list[str]]:
    images, others = Images(name), Images(SETS[name][1], most=300)
    start = time.process_time()
    far = far_from_others(images.seen)
    seconds = time.process_time() - start
    number = {facts.content: k for k, facts in enumerate(images.seen)}
    if sheet and far:
        draw(images, [(number[content], score) for content, score, _ in far], sheet.with_stem(f"{sheet.stem}-{name}"))
    for content, score, told in far:
        print(f"  {name} {score:.2f} {images.files[number[content]]}: {told}")
    rng = np.random.default_rng(1)
    planted = {kind: strangers(images, others, make, rng) for kind, make in {**KINDS, OTHER: None}.items()}
    shares = {kind: found_of(images, some) for kind, some in planted.items()}
    plain = [facts for kind in PLAIN for facts in planted[kind]]
    bags = [mixed(images, plain, part, rng) for part in BAGS]
    share = f"{len(far)} ({len(far) / len(images.seen):.2%})"
    return [name, f"{len(images.seen):,}", share, f"{seconds:.2f}"], shares, [name, *bags]


def draw(images: Images, rows: list[tuple[int, float]], path: Path) -> None:
    picture = Image.new("RGB", (COLUMNS * THUMBNAIL, -(-len(rows) // COLUMNS) * THUMBNAIL), "gray")
    for place, (number, _) in enumerate(rows):
        one = images.picture(number)
        one = one.resize((96, 96), Image.Resampling.NEAREST) if max(one.size) < 96 else one
        one.thumbnail((THUMBNAIL - 4, THUMBNAIL - 4))
        picture.paste(one, (place % COLUMNS * THUMBNAIL, place // COLUMNS * THUMBNAIL))
    picture.save(path)


def by_chance() -> None:
    """Numbers of which none is a stranger, with light and heavy tails."""
    rng, rows = np.random.default_rng(0), []
    laws: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
        "normal": lambda shape: rng.normal(size=shape),
        "lognormal": lambda shape: np.exp(rng.normal(size=shape)),
        "Student's t, 2": lambda shape: rng.standard_t(2, size=shape),
        "Cauchy": lambda shape: rng.standard_cauchy(size=shape),
    }
    for name, law in laws.items():
        cells = []
        for count in (60, 300, 1000, 10_000, 60_000):
            told = []
            for _ in range(20 if count < 60_000 else 5):
                away = distances(offs(law((count, 12))))
                told.append(int((away > threshold(away)).sum()))
            cells.append(f"{np.mean(told):.1f} ({max(told)})")
        rows.append((name, *cells))
    table(
        "Twelve numbers by chance: flagged on average (at most)",
        ("law", "60", "300", "1,000", "10,000", "60,000"),
        rows,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="draw what is flagged in each set into PNG files of such a name")
    parser.add_argument(
        "--only", nargs="*", choices=SETS, default=tuple(SETS), help="these sets; none: by chance alone"
    )
    options = parser.parse_args()
    warn_if_busy()
    print(f"- Machine: {machine()}\n- numpy {np.__version__}, Pillow {version('pillow')}\n")
    by_chance()
    if options.only:
        told = [measured(name, options.sheet) for name in options.only]
        titles = "set", "images", "flagged as it is", "processor seconds to compare"
        table("Sets as they are", titles, [row for row, *_ in told])
        rows = [(kind, *(f"{shares[kind]:.2f}" for _, shares, _ in told)) for kind in (*KINDS, OTHER)]
        table(f"Share of {EACH} strangers found, {PLANTED} in a set at a time", ("kind", *options.only), rows)
        title = f"Share found of {', '.join(PLAIN)} together, which are so many of all images"
        table(title, ("set", *(f"{part:.0%}" for part in BAGS)), [bags for *_, bags in told])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
