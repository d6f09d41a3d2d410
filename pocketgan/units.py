"""Numbers as people read and write them: SI prefixes, bytes, durations, ratios, and budgets given as text."""

import math
import re
from decimal import Decimal
from numbers import Integral
from typing import Any

from pocketgan.errors import BudgetError, SpecError

Number = int | float
#: height and width in pixels
Size = tuple[int, int]

_PREFIXES = ("", "k", "M", "G", "T", "P")
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_QUANTITY = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,2})?\s*([kmg]?)", re.IGNORECASE)
_MISSING = "–"


def number_text(value: Number | None) -> str:
    """Three significant digits without an exponent where that is readable: `41.2`, `0.0123`, `1,234`.

    None and non-finite values become a dash.
    """
    if value is None or not math.isfinite(value):
        return _MISSING
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 1000:
        return f"{value:,.0f}"
    if rounded == 0 or abs(rounded) < 1e-4:
        return f"{value:.3g}"
    decimals = 2 - math.floor(math.log10(abs(rounded)))
    return f"{value:.{max(decimals, 0)}f}"


def si(value: Number | None, unit: str = "") -> str:
    """Three significant digits with an SI prefix: `si(1.2e9) == "1.20 G"`, `si(357_412) == "357 k"`.

    Whole numbers below 1000 stay as they are. None and non-finite values become a dash.
    """
    if value is None or not math.isfinite(value):
        return _MISSING
    if abs(value) < 1000:
        number, prefix = (f"{value:.0f}" if value == int(value) else number_text(value)), ""
    else:
        scaled, prefix = _scaled(value)
        number = number_text(scaled)
    return f"{number} {prefix}{unit}".rstrip()


def bytes_text(size: Number | None) -> str:
    """A size on disk in decimal units: `1.4 MB`, `812 kB`, `97 bytes`; None becomes a dash."""
    if size is None:
        return _MISSING
    if size < 1000:
        return f"{size} bytes"
    scaled, prefix = _scaled(size)
    return f"{scaled:.{1 if scaled < 99.95 else 0}f} {prefix}B"


def duration_text(seconds: Number) -> str:
    """The two largest units of a duration: `0.8 s`, `3 min 20 s`, `1 h 1 min`, `2 d 3 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    # Each step rounds to its own smaller unit, so that 59 min 59.7 s carries into 1 h 0 min.
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes else f"{rest} s"
    hours, rest = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours} h {rest} min"
    days, rest = divmod(round(seconds / 3600), 24)
    return f"{days} d {rest} h"


def both_sides(size: int | Size) -> Size:
    """Height and width: a side alone is a square's. Raises `SpecError` for anything but such whole numbers."""
    sides: Any = size if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        raise SpecError(f"size {size!r} is no size in pixels; give a side, 256, or height and width, (256, 512)")
    return int(sides[0]), int(sides[1])


def size_text(size: Size) -> str:
    """Height and width as `--size` takes them: `256`, or `256x512` where they differ."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def size_figure(size: Size) -> int | str:
    """Height and width as JSON figures give them: a number for a square, else as `size_text`."""
    return size[0] if size[0] == size[1] else size_text(size)


def ratio_text(ratio: Number) -> str:
    """A factor: `12.3×`, `120×`, and two digits where they matter, `1.05×`."""
    if ratio >= 99.95:
        return f"{ratio:,.0f}×"
    return f"{ratio:.1f}×" if ratio >= 1.995 else f"{ratio:.2f}×"


def parse_quantity(text: str) -> int:
    """The whole number behind `2.6G`, `800M`, `1500000000` or `1.5e9`; prefixes are decimal, in either case.

    Raises:
        BudgetError: the text cannot be read, or its value is not positive or absurdly large.
    """
    example = "write a number with K, M or G, e.g. 2.6G, 800M or 1500000000"
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        raise BudgetError(f"budget '{text}' cannot be read; {example}")
    number, exponent, prefix = match.groups()
    # Decimal keeps 2.6G exact, where a float product may land one below.
    value = int(Decimal(number + (exponent or "")) * _SCALES[prefix.lower()])
    if not 0 < value < 10**18:
        raise BudgetError(f"budget '{text}' must lie between 1 and 1e18; {example}")
    return value


def _scaled(value: Number) -> tuple[Number, str]:
    """`value` over a power of 1000, and that power's prefix, so that three digits never read `1000 M`."""
    power = 0
    while float(f"{abs(value):.3g}") >= 1000 and power < len(_PREFIXES) - 1:
        value, power = value / 1000, power + 1
    return value, _PREFIXES[power]
