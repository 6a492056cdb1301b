"""Who did what in ClassyGlass: the experiment numbers of its two data description sheets (1A and 1B), user by user.

The published README's rule, "experiment number modulo the number of activities", is wrong from user 24 on, where
experiments that did not happen were given no number. Hence this table, which follows the sheets.
"""

from __future__ import annotations

ACTIVITIES = (
    "reading",
    "writing",
    "typing",
    "browsing",
    "moving head",
    "moving chair",
    "standing up",
    "standing",
    "walking",
    "running",
    "stairs",
    "glasses on-off sitting",
    "glasses on-off standing",
    "picking up sitting",
    "picking up standing",
)
"""The sheets' activities 1 to 15; users 1 to 12 did the first eleven."""

# user: the experiment number of each activity, in the order above; 0 where the sheet says "missing".
_SHEETS: dict[str, tuple[int, ...]] = {
    "1": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
    "2": (12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22),
    "3": (23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33),
    "4": (34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44),
    "5": (45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55),
    "6": (56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66),
    "7": (67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77),
    "8": (0, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88),
    "9": (89, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99),
    "10": (100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110),
    "11": (111, 112, 113, 114, 115, 116, 117, 118, 119, 120, 121),
    "12": (122, 123, 124, 125, 0, 127, 128, 0, 130, 131, 132),
    "13": (133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145, 146, 147),
    "14": (148, 149, 150, 151, 152, 153, 154, 155, 156, 157, 158, 159, 160, 161, 162),
    "15": (163, 164, 165, 166, 167, 168, 169, 170, 171, 0, 173, 174, 175, 176, 177),
    "16": (178, 179, 180, 181, 182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 192),
    "17": (193, 194, 195, 196, 197, 198, 199, 200, 201, 202, 203, 204, 205, 206, 207),
    "18": (208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219, 220, 221, 222),
    "19": (223, 224, 225, 226, 227, 228, 229, 230, 231, 232, 233, 234, 235, 236, 237),
    "20": (238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252),
    "21": (253, 254, 255, 256, 257, 258, 259, 260, 261, 262, 263, 264, 265, 266, 267),
    "22": (268, 269, 270, 271, 272, 273, 0, 275, 276, 277, 278, 279, 280, 281, 282),
    "23": (283, 284, 285, 286, 287, 288, 289, 290, 291, 292, 293, 294, 295, 296, 297),
    "24": (298, 299, 300, 301, 302, 303, 304, 305, 306, 0, 307, 308, 309, 0, 0),
    "25": (312, 313, 314, 315, 316, 317, 318, 319, 320, 0, 321, 322, 323, 324, 325),
    "26": (326, 327, 328, 329, 330, 331, 332, 333, 334, 0, 335, 336, 337, 0, 0),
    "27": (340, 341, 342, 343, 344, 345, 346, 347, 348, 0, 349, 350, 351, 0, 0),
}

EXPERIMENTS: dict[int, tuple[str, str]] = {
    experiment: (user, activity)
    for user, experiments in _SHEETS.items()
    for activity, experiment in zip(ACTIVITIES, experiments, strict=False)
    if experiment
}
"""Experiment number -> (user, activity)."""
