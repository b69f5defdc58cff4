"""Who trains and who validates where no list says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

SplitName = Literal["ljspeech", "report", "nanoflow"]
# They part what is there themselves; of "ljspeech" the lists in the directory of the clips say the same.
PART_THEMSELVES = ("report", "nanoflow")

NANOFLOW_VALIDATION = 1310  # of the 13,100 clips of LJSpeech

REPORT_TRAIN = ("LJ00", "LJ01", "LJ02", "LJ03", "LJ05")
REPORT_VALIDATION = ("LJ04",)

# numbers of the 150 clips that validate in the official lists of HiFi-GAN, by chapter: LJ001-0028, ...
OFFICIAL_VALIDATION: dict[int, tuple[int, ...]] = {
    1: (28, 68), 2: (149, 157, 167), 3: (42, 307), 4: (169, 233), 5: (101, 108, 202, 234, 248),
    6: (1, 18, 34, 78), 7: (217, 243), 8: (87, 131, 140, 158, 174),
    10: (47, 61, 105, 233, 234, 258, 262, 270, 293), 11: (9, 256), 12: (44, 145), 13: (20, 77, 228),
    14: (20, 54, 101, 103, 263, 272, 311), 15: (197,), 16: (89, 407, 443), 17: (33, 38), 18: (18, 119, 280),
    19: (178, 240), 21: (49, 155), 22: (46, 173), 24: (87, 110, 119), 25: (91,), 26: (29, 39, 64, 105, 137),
    27: (6,), 28: (134, 138, 189, 281), 29: (188,), 30: (98,), 31: (7, 91, 227), 32: (100, 165, 198),
    33: (46, 72, 135), 34: (83, 179), 35: (125, 162, 189, 208), 36: (216,), 37: (93, 157, 178, 219, 222),
    38: (17, 52, 77, 161, 212), 39: (103, 149), 40: (107, 119, 161, 169), 41: (98,), 42: (17, 70, 161),
    43: (147, 178, 183, 185), 44: (57, 109), 45: (81, 147, 204), 46: (193, 244), 47: (59, 142),
    48: (35, 63, 104, 187, 271), 49: (31, 59, 174),
    50: (49, 113, 150, 189, 269, 270, 271, 272, 273, 274, 275, 276, 277, 278),
}  # fmt: skip


class Parted(NamedTuple):
    """Names of clips, in the order in which they came."""

    train: list[str]
    validation: list[str]


def official(names: Sequence[str]) -> Parted:
    """LJSpeech as HiFi-GAN parts it: of its 13,100 clips 12,950 train and 150 validate."""
    chosen = {
        f"LJ{chapter:03}-{number:04}"
        for chapter, numbers in OFFICIAL_VALIDATION.items()
        for number in numbers
    }
    return Parted([n for n in names if n not in chosen], [n for n in names if n in chosen])


def report(names: Sequence[str]) -> Parted:
    """LJSpeech as the report parts it, by chapters: 10,712 train, 2,388 validate; other names do neither."""
    return Parted(
        [n for n in names if n.startswith(REPORT_TRAIN)],
        [n for n in names if n.startswith(REPORT_VALIDATION)],
    )


def nanoflow(names: Sequence[str]) -> Parted:
    """LJSpeech as the README of NanoFlow parts it: in their order by name the first 1310 validate.

    Its own ``tail -n+1310`` begins with the last of these, which would be in both parts: here the 1311th is
    the first that trains, and of the 13,100 clips 11,790 do.
    """
    ordered = sorted(names)
    return Parted(ordered[NANOFLOW_VALIDATION:], ordered[:NANOFLOW_VALIDATION])


def tail(names: Sequence[str]) -> Parted:
    """The last tenth validates, 150 clips at most: neighbours read on in one passage and stay together."""
    border = len(names) - min(150, max(1, len(names) // 10))
    return Parted(list(names[:border]), list(names[border:]))


def parted(names: Sequence[str], split: SplitName | None) -> Parted:
    """``names`` by the rule of ``split``; None: ``tail``."""
    rules = {"ljspeech": official, "report": report, "nanoflow": nanoflow, None: tail}
    return rules[split](names)
