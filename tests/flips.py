"""One flipped byte anywhere in a head or a bundle: refused. Every byte of a head, 10,000 bytes of the released bundle.

make fuzz
python tests/flips.py --count 500
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from primus_sdk.bundles import bundle
from primus_sdk.errors import BundleError, HeadError
from primus_sdk.heads.head import Head


def heads_taken() -> list[int]:
    """Bytes of a head (with a mount) that may be flipped unnoticed; each is changed in one bit and in all."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(3, 512)).astype(np.float32)
    head = Head(("sit", "stand", "walk"), weight, np.zeros(3, np.float32), "ab" * 32, mount=np.eye(3))
    content, taken = head.to_bytes(), []
    for position in range(len(content)):
        for flip in (1 << int(random.integers(8)), 0xFF):
            altered = bytearray(content)
            altered[position] ^= flip
            try:
                Head.from_bytes(bytes(altered))
            except HeadError:
                continue
            taken.append(position)
    return taken


def bundle_bytes_taken(count: int, seed: int) -> list[tuple[str, int]]:
    """Bytes of the released bundle, spread over its files by their size, that may be flipped unnoticed."""
    random, taken = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle.released(), Path(folder) / "bundle"))
        bundle.read(copy)
        files = sorted(path for path in copy.rglob("*") if path.is_file())
        sizes = np.array([path.stat().st_size for path in files])
        # At least a tenth of all in the small files, where one byte means most.
        chances = 0.9 * sizes / sizes.sum() + 0.1 / len(files)
        for number in range(count):
            path = files[int(random.choice(len(files), p=chances))]
            with path.open("r+b") as file:
                at = int(random.integers(path.stat().st_size))
                file.seek(at)
                before = file.read(1)
                file.seek(at)
                file.write(bytes([before[0] ^ int(random.integers(1, 256))]))
                file.flush()
                try:
                    bundle.read(copy)
                    taken.append((path.name, at))
                except BundleError:
                    pass
                file.seek(at)
                file.write(before)
            if (number + 1) % 1000 == 0:
                print(f"{number + 1} of {count} bytes of the bundle", file=sys.stderr)
        bundle.read(copy)
    return taken


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads, files = heads_taken(), bundle_bytes_taken(options.count, options.seed)
    print(f"head: {len(heads)} flips taken; bundle: {len(files)} of {options.count} flips taken {files[:5]}")
    return 1 if heads or files else 0


if __name__ == "__main__":
    sys.exit(main())
