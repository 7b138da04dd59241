"""Lets `import torch` work from the CUDA wheel where the CUDA libraries are not: for the tests.

    python docker/cuda_stand_ins.py LIBTORCH OUT

PyTorch's wheel for Linux is built with CUDA, and its Python module cannot be loaded without 2 GB of
libraries, none of which is called on a machine without a GPU. (The server is a Rust program that
links libtorch's CPU part only, and needs none of this.) This makes an empty library for each
missing one, with the symbols that the wheel asks for, all of which abort.
"""

import pathlib
import re
import subprocess
import sys

USERS = ["libtorch_cuda.so", "libtorch_nvshmem.so", "libtorch_cuda_linalg.so", "libtorch_python.so"]


def main(libtorch: pathlib.Path, out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    users = [user for name in USERS if (user := libtorch / "torch/lib" / name).exists()]
    present = {path.name for path in libtorch.glob("**/*.so*")}
    missing = sorted({name for user in users for name in needed(user)} - present)
    symbols = sorted({symbol for user in users for symbol in undefined(user)})
    for name in missing:
        versions = {version for user in users for version in versions_from(user, name)}
        wanted = {v: [symbol for symbol, version in symbols if version == v] for v in versions}
        if name == missing[0]:  # Symbols without a version are looked for everywhere.
            wanted[""] = [symbol for symbol, version in symbols if not version and is_cuda(symbol)]
        compile_library(out / name, wanted)


def needed(library: pathlib.Path) -> list[str]:
    """The CUDA libraries that `library` is linked with; all others belong to the system."""
    found = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-dW", library))
    return [name for name in found if re.match(r"lib(cu|nccl|nv)", name)]


def undefined(library: pathlib.Path) -> list[tuple[str, str]]:
    """Every symbol that `library` looks for elsewhere, with its version or an empty string."""
    lines = run("nm", "-D", "--undefined-only", library).splitlines()
    return [(name, version) for name, _, version in (line.split()[-1].partition("@") for line in lines)]


def versions_from(library: pathlib.Path, name: str) -> list[str]:
    """The symbol versions that `library` wants from the library called `name`."""
    section = re.search(rf"File: {re.escape(name)} .*\n((?:.*  Name: .*\n)*)", run("readelf", "-VW", library))
    return re.findall(r"Name: (\S+)", section[1]) if section else []


def is_cuda(symbol: str) -> bool:
    return re.match(r"(cu|nccl|nvshmem|nvrtc|nvJit)[a-zA-Z_]", symbol) is not None


def compile_library(path: pathlib.Path, wanted: dict[str, list[str]]) -> None:
    symbols = [symbol for names in wanted.values() for symbol in names]
    code = "void abort(void);\n" + "".join(f"void {s}(void) {{ abort(); }}\n" for s in symbols)
    script = path.with_suffix(".map")
    script.write_text("".join(
        f"{version} {{ global: {' '.join(f'{name};' for name in names)} }};\n"
        for version, names in wanted.items() if version
    ) or "{ global: *; };\n")
    command = ["cc", "-w", "-shared", "-fPIC", "-fno-builtin", "-xc", "-", "-o", path]
    linking = [f"-Wl,-soname,{path.name}", f"-Wl,--version-script={script}"]
    subprocess.run([*command, *linking], input=code, text=True, check=True)
    script.unlink()


def run(*command: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
