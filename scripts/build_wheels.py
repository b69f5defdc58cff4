"""Build wheels that hold compiled kernels, for several platforms from one machine.

pip install ziglang
python scripts/build_wheels.py dist                              # all platforms
python scripts/build_wheels.py dist --platforms x86_64-linux     # one of them
python scripts/build_wheels.py dist --kernels-only --platforms native   # for this machine

Zig's Clang compiles for every platform from any. What is there already is not compiled again.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from namexp.conf_dir import conf_dir
from namexp.kernels import hifigan_filters, waveflow
from namexp.kernels.discovery import SYSTEMS
from namexp.kernels.shipped import NATIVE, library_name
from namexp.kernels.texts import array_text, mrstft_text
from namexp.losses.spectral import Mrstft
from namexp.schema.composition import composed
from namexp.tasks.known import parse_experiment

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = range(1, 17)
ZIG = (sys.executable, "-m", "ziglang", "c++")


@dataclass(frozen=True)
class Platform:
    """Where a wheel is for.

    Attributes:
        tag: of the wheel.
        zig: its name for it.
        system: ``posix`` or ``nt``.
        processors: Zig's names of the least processors, by instruction set.
    """

    tag: str
    zig: str
    system: str
    processors: dict[str, str]


X86_64 = {"avx2": "x86_64_v3", "avx512": "x86_64_v4"}
PLATFORMS = {
    "x86_64-linux": Platform("manylinux_2_17_x86_64", "x86_64-linux-gnu.2.17", "posix", X86_64),
    "aarch64-linux": Platform(
        "manylinux_2_17_aarch64", "aarch64-linux-gnu.2.17", "posix", {"neon": "generic"}
    ),
    "arm64-macos": Platform("macosx_11_0_arm64", "aarch64-macos.11.0", "posix", {"neon": "apple_m1"}),
    "x86_64-macos": Platform("macosx_11_0_x86_64", "x86_64-macos.11.0", "posix", X86_64),
    "x86_64-windows": Platform("win_amd64", "x86_64-windows-gnu", "nt", X86_64),
}


def main() -> None:
    """Compile, and build."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--platforms", nargs="+", default=list(PLATFORMS), choices=[*PLATFORMS, "native"])
    parser.add_argument("--kernels-only", action="store_true", help="no wheels")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    found = sorted(set(texts()))
    for name in arguments.platforms:
        folder = arguments.out / "kernels" / name
        compile_all(found, PLATFORMS[native() if name == "native" else name], folder, arguments.jobs)
        if not arguments.kernels_only:
            build(folder, arguments.out)


def native() -> str:
    """The platform of this machine."""
    system = {"Darwin": "macos", "Linux": "linux", "Windows": "windows"}.get(
        platform.system(), "another system"
    )
    names = {"amd64": "x86_64", "arm64": "arm64" if system == "macos" else "aarch64"}
    machine = platform.machine().lower()
    name = f"{names.get(machine, machine)}-{system}"
    return name if name in PLATFORMS else sys.exit(f"no wheel is built for {name}")


def texts() -> Iterator[str]:
    """Of the models in conf/, at 1 to 16 channels of their layers' shapes, of the losses and the vocoders."""
    for model in ("packed_wavenet", "packed_wavenet_small", "slimmable"):
        for channels in CHANNELS:
            yield from _arrays(f"model={model}", f"model.channels=[{channels}]")
    for model in ("wavenet", "wavenet_lite", "wavenet_feather", "wavenet_nano"):
        for channels in CHANNELS[1::2]:
            yield from _arrays(f"model={model}", f"model.channels=[{channels},{channels // 2}]")
    yield mrstft_text(Mrstft().resolutions)
    yield hifigan_filters.source()
    yield waveflow.SOURCE


def _arrays(*overrides: str) -> Iterator[str]:
    config = parse_experiment(composed(list(overrides), conf_dir()))
    for row in config.model.plan.rows:
        for array in row.spec.layer_arrays:
            yield array_text(array)


def compile_all(found: list[str], target: Platform, folder: Path, jobs: int) -> None:
    """Fill ``folder``: INSTRUCTION_SET/LIBRARY, and ``tag.txt``."""
    suffix = SYSTEMS[target.system].suffix
    missing = []
    for instruction_set, processor in target.processors.items():
        place = folder / instruction_set
        place.mkdir(parents=True, exist_ok=True)
        wanted = {place / library_name(text, suffix): text for text in found}
        for other in {*place.iterdir()} - {*wanted}:
            other.unlink()
        missing += [(text, processor, path) for path, text in wanted.items() if not path.exists()]
    (folder / "tag.txt").write_text(f"{target.tag}\n")
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda job: _compile(target, *job), missing)
        for _ in tqdm(done, total=len(missing), desc=str(folder.name), unit="kernel"):
            pass


def _compile(target: Platform, text: str, processor: str, path: Path) -> None:
    source, built = path.with_suffix(".cpp"), path.with_name(f".{path.name}")
    source.write_text(text)
    flags = ["-target", target.zig, f"-mcpu={processor}", *SYSTEMS[target.system].flags, "-s"]
    subprocess.run([*ZIG, *flags, f"-I{NATIVE}", str(source), "-o", str(built)], check=True)
    source.unlink()
    built.replace(path)
    for left in {*path.parent.glob(f".{path.stem}*"), *path.parent.glob(f"{path.stem}.lib")}:
        left.unlink()  # an import library and debug information, on Windows


def build(folder: Path, out: Path) -> None:
    """The wheel of one platform."""
    environment = {**os.environ, "NAMEXP_SHIPPED_KERNELS": str(folder.absolute())}
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--quiet", "-w", str(out)]
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
