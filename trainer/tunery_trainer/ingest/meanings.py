"""Meanings: which labels are spellings of one, and which hold characters that deceive the eye.

Owns what spellings may differ in, and a small table of words that mean the same. Knows no rows,
only labels and how many rows each has.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tunery.types import LabelVariants
from tunery_trainer.ingest.normalise import fold_space

# In what spellings may differ, in the order in which it is told.
DIFFERENCES = ("case", "width", "space", "look-alike", "composition", "meaning")
_ALL = frozenset(DIFFERENCES)

# Words of one meaning, folded. Small on purpose: who merges by it must not be surprised.
_FAMILIES = (
    "yes true 是 是的 真",
    "no false 否 不是 假",
    "positive pos 正面 积极 正向 好评",
    "negative neg 负面 消极 负向 差评",
    "neutral neu 中性 中立",
    "spam 垃圾 垃圾邮件 垃圾短信 垃圾信息",
    "ham 非垃圾 非垃圾邮件 非垃圾短信 非垃圾信息",
    "other others 其他 其它",
    "unknown 未知",
)
# Too short to mean anything but beside a word of their family: y is a letter, too, and 1 a number.
_SHORT = {"y": "yes", "1": "yes", "n": "no", "0": "no"}
_FAMILY_OF = {word: words.split()[0] for words in _FAMILIES for word in words.split()}

# Letters and signs that look like those of ASCII. Source: UTS #39, confusables.txt, less what is a
# matter of taste (α, к) and less ASCII among itself: 0 and O, 1 and l are different labels.
_LOOK_ALIKES = str.maketrans(
    "АВЕКМНОРСТХУІЈЅаеорсухіјѕһԁԛԝ"  # Cyrillic
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρι"  # Greek
    "ıɡɑ‐‑‒–—―−‘’‛ʼ′“”″",
    "ABEKMHOPCTXYIJSaeopcyxijshdqwABEZHIKMNOPTYXovpiiga-------'''''\"\"\"",
)
# Characters that nobody sees: zero width, direction, and which form of an emoji is meant.
_JOINERS = "\u200c\u200d"
_FORMS = "\ufe0e\ufe0f"
_CONTROLS = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a\u202b\u202c\u202d"
    "\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u3164\ufeff\uffa0"
)
_WORDS = re.compile(r"[^\W_]+")
_HIDDEN = frozenset(_JOINERS + _CONTROLS)
_SEEN = _LOOK_ALIKES | dict.fromkeys(map(ord, _JOINERS + _FORMS + _CONTROLS))


def find_variants(rows: Mapping[str, int]) -> list[LabelVariants]:
    """Return the groups of labels that look like one, of labels with the rows that each has.

    The commonest spelling is the canonical one, of equals the first in sort order.
    """
    found: list[LabelVariants] = []
    for spellings in _groups(rows, _ALL):
        if len(spellings) > 1:
            ordered = sorted(spellings, key=lambda each: (-rows[each], each))
            others = {each: rows[each] for each in spellings if each != ordered[0]}
            why = _differences(spellings)
            found.append(LabelVariants(canonical=ordered[0], variants=others, why=why))
    return found


def skeleton(label: str) -> str:
    """Return what the label looks like: with plain letters for those of other scripts.

    Two labels that the eye takes for one have the same skeleton; it is to compare, not to show.
    Source: UTS #39, Unicode Security Mechanisms, section 4, with a small table of our own.
    """
    if label.isascii():
        return label
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", label).translate(_SEEN))


def hidden_characters(label: str) -> list[str]:
    """Return the names of zero-width and direction controls, each once, as U+200B ZERO WIDTH SPACE.

    Joiners that a script or an emoji needs are left out.
    """
    if label.isascii():
        return []
    return _names(
        character
        for i, character in enumerate(label)
        if character in _HIDDEN and not (character in _JOINERS and _joins(label, i))
    )


def strange_letters(label: str) -> list[str]:
    """Return the names of Cyrillic and Greek letters that pass for Latin ones in a Latin word."""
    if label.isascii():
        return []
    return _names(
        letter
        for word in _WORDS.findall(label)
        if any("a" <= each.lower() <= "z" for each in word)
        for letter in word
        if ord(letter) in _LOOK_ALIKES and "\u0370" <= letter <= "\u052f"
    )


def _groups(labels: Iterable[str], folded: frozenset[str]) -> list[list[str]]:
    """Return the labels by what they have in common once some differences are folded."""
    known = list(labels)
    keys = {label: set(_forms(label, folded)) for label in known}
    if "meaning" in folded:
        for label, family in _families(keys):
            keys[label].add(f"{family}\0")  # no form holds a NUL
    first: dict[str, str] = {}  # a label of each key
    parent: dict[str, str] = {label: label for label in known}

    def root(label: str) -> str:
        while parent[label] != label:
            parent[label] = label = parent[parent[label]]
        return label

    for label in known:
        for key in keys[label]:
            parent[root(label)] = root(first.setdefault(key, label))
    groups: dict[str, list[str]] = defaultdict(list)
    for label in known:
        groups[root(label)].append(label)
    return list(groups.values())


def _forms(label: str, folded: frozenset[str]) -> Iterator[str]:
    """Yield the label without some differences: as it is written, and as it looks."""
    written = label
    if not label.isascii():
        written = _decomposed(label, folded)
        if "look-alike" in folded:
            # Before case: В looks like B, and в does not look like b.
            yield _plain(written.translate(_SEEN), folded)
    yield _plain(written, folded)


def _plain(text: str, folded: frozenset[str]) -> str:
    if "case" in folded:
        text = text.casefold()
    return fold_space(text) if "space" in folded else text


def _decomposed(label: str, folded: frozenset[str]) -> str:
    if "width" not in folded:
        return unicodedata.normalize("NFD", label)
    if "composition" not in folded:
        return "".join(unicodedata.normalize("NFKC", character) for character in label)
    return unicodedata.normalize("NFKD", label)


def _families(keys: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """Yield labels of the table with their families.

    A short one counts only beside a word of its family, and where no other number or letter is a
    label: among A, B and N, N is not a no.
    """
    found = [
        (label, _FAMILY_OF[form]) for label in keys for form in keys[label] & _FAMILY_OF.keys()
    ]
    yield from found
    families = {family for _, family in found}
    shorts = [
        (label, form)
        for label, forms in keys.items()
        for form in forms
        if form.isascii() and (form.lstrip("-").isdigit() or (len(form) == 1 and form.isalpha()))
    ]
    if all(form in _SHORT for _, form in shorts):
        yield from ((label, _SHORT[form]) for label, form in shorts if _SHORT[form] in families)


def _differences(spellings: Iterable[str]) -> list[str]:
    """Return what the spellings differ in: what parts them when all else is folded."""
    known = list(spellings)
    return [name for name in DIFFERENCES if len(_groups(known, _ALL - {name})) > 1]


def _joins(label: str, i: int) -> bool:
    """Return whether a joiner stands between two characters of a script that has joiners."""
    sides = label[i - 1 : i] + label[i + 1 : i + 2]
    return len(sides) == 2 and all(
        side > "\u0600" and side not in _HIDDEN and not "\u2e80" <= side <= "\ud7ff"
        for side in sides
    )


def _names(characters: Iterable[str]) -> list[str]:
    return list(
        dict.fromkeys(
            f"U+{ord(character):04X} {unicodedata.name(character, 'CONTROL')}"
            for character in characters
        )
    )
