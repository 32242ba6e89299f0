"""Counts and sizes in words."""


def quantity(number: int, noun: str, plural: str | None = None) -> str:
    """`1 image`, `2 images`, `12,000 images`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def short_number(number: float) -> str:
    """Three significant digits: 950, 3.37 M, 1.81 G."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.3g}"


def byte_size(number: float) -> str:
    """`12 bytes`, `3.1 MB`, `20 GB`; decimal units."""
    return quantity(round(number), "byte") if number < 1000 else f"{short_number(number)}B"


def pixels(shape: tuple[int, int]) -> str:
    """Height and width: `224 px` where they are equal, else `1024 × 768 px`."""
    height, width = shape
    return f"{height} px" if height == width else f"{height} × {width} px"
