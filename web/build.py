"""Puts the page's runtime, as npm has installed it here, into the package: see `make web`.

WebAssembly is packed with xz, which the page unpacks itself on any host: a sixth of its size.
"""

import lzma
import shutil
from pathlib import Path

HERE = Path(__file__).parent
ORT = HERE / "node_modules" / "onnxruntime-web" / "dist"
XZ = HERE / "node_modules" / "xz-decompress" / "dist" / "package" / "xz-decompress.min.js"
TARGET = HERE.parent / "pocketgan" / "demo" / "page" / "ort"

MODULES = ("ort.wasm.min.mjs", "ort.jspi.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.jspi.mjs")
BINARIES = ("ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.jspi.wasm")

# the window is as large as the files: an unpacker needs that much memory
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 24}]


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name in MODULES:
        text = (ORT / name).read_text()
        kept = [line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")]
        (TARGET / name).write_text("\n".join(kept) + "\n")
    for name in BINARIES:
        packed = lzma.compress((ORT / name).read_bytes(), lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=FILTERS)
        (TARGET / f"{name}.xz").write_bytes(packed)
    # the package is a script of the older kind; around it, a module
    (TARGET / "xz.mjs").write_text(
        "const exports = {}, module = { exports }, require = () => globalThis;\n"
        f"{XZ.read_text()}\nexport const XzReadableStream = module.exports.XzReadableStream;\n"
    )
    shutil.copyfile(HERE / "LICENSES.txt", TARGET / "LICENSES.txt")


if __name__ == "__main__":
    main()
