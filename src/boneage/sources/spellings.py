"""How people and spreadsheets write yes and no, a child's sex, and image ids.

Only unambiguous spellings are understood. Where letters differ in meaning between languages (``m`` is *male*,
but *mujer* beside ``h``), the whole column decides, or is refused as ambiguous.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from boneage.images.reading import IMAGE_SUFFIXES

# Letters that Unicode does not decompose.
_UNMARKED = str.maketrans("ıłŁøØ", "ilLoO")


def plain(text: str) -> str:
    """Lower-case text without accents, outer spaces and punctuation: ``" Mädchen. "`` is ``madchen``.

    Only Latin and Greek letters lose their marks: й without its own is another letter.
    """
    letters, base = [], ""
    for letter in unicodedata.normalize("NFKD", text.translate(_UNMARKED)):
        if not unicodedata.combining(letter):
            base = unicodedata.name(letter, "")
        elif base.startswith(("LATIN", "GREEK")):
            continue
        letters.append(letter)
    folded = unicodedata.normalize("NFC", "".join(letters)).casefold()
    return folded.replace("ς", "σ").strip(" \t\r\n.'\"`")


def word_set(text: str) -> frozenset[str]:
    """The words of a text, each through :func:`plain`."""
    return frozenset(map(plain, text.split()))


# Logical values as spreadsheets write them in many languages, and answers to a question.
_TRUE = word_set(
    """true t yes y wahr ja j vrai oui v verdadero si vero verdadeiro sim waar sant sand sann tosi kylla
    prawda tak pravda ano igaz igen adevarat da dogru evet istina истина да істина так αληθης αληθες
    真 是 はい 참 예 אמת صحيح نعم benar dung"""
)
_FALSE = word_set(
    """false f no n falsch nein faux non falso nao onwaar nee falskt falsk usann nej nei epatosi ei
    falsz nie nepravda ne hamis nem fals nu yanlis hayir neistina ложь нет хибність ні лъжа ψευδης ψευδες
    假 伪 偽 否 いいえ 거짓 아니요 שקר خطأ لا salah sai"""
)
_MALE = word_set(
    """male man boy boys masculine mannlich maennlich mann junge jungen knabe herr homme garcon masculin
    masculino hombre nino varon maschio maschile ragazzo uomo homem menino rapaz mannelijk jongen pojke
    gutt dreng mandlig poika mies mezczyzna chlopiec muz chlapec hoch ferfi fiu barbat baiat erkek
    мужской мужчина мальчик муж чоловік хлопець мъж момче αρρεν αγορι ανδρας 男 男性 男子 男孩 男生
    남 남자 남성 남아 זכר ذكر laki-laki pria"""
)
_FEMALE = word_set(
    """female woman girl girls fem feminine weiblich madchen maedchen frau femme fille feminin femenino
    femenina mujer nina femmina femminile ragazza donna mulher menina feminino vrouw vrouwelijk meisje
    kvinna flicka kvinne jente kvinde pige kvindelig tytto nainen kobieta dziewczyna dziewczynka zena divka
    dievca lany femeie fata kadin kiz женский женщина девочка жен жінка дівчина жена момиче θηλυ
    κοριτσι γυναικα 女 女性 女子 女孩 女生 여 여자 여성 여아 נקבה أنثى انثى perempuan wanita"""
)
# What two letters in one column can mean, (boy, girl); a German w counts as f.
_PAIRS = (
    ("m", "f"),  # male, female; masculin, féminin
    ("h", "f"),  # homme, femme
    ("g", "f"),  # garçon, fille
    ("p", "f"),  # pojke, flicka
    ("h", "m"),  # hombre, mujer
    ("m", "h"),  # macho, hembra
    ("j", "m"),  # Junge, Mädchen; jongen, meisje
    ("k", "m"),  # Knabe, Mädchen
    ("m", "k"),  # man, kvinna; mężczyzna, kobieta
    ("v", "m"),  # varón, mujer
    ("m", "v"),  # man, vrouw
    ("m", "z"),  # muž, žena
    ("m", "n"),  # mies, nainen
    ("b", "g"),  # boy, girl
    ("e", "k"),  # erkek, kadın
    ("d", "p"),  # dreng, pige
    ("l", "p"),  # laki-laki, perempuan
    ("м", "ж"),  # мужской, женский
)
# Columns whose name gives the language, and so decides between meanings.
_PAIRS_OF_COLUMN = {
    "geschlecht": (("m", "f"), ("j", "m"), ("k", "m")),
    "geslacht": (("m", "v"), ("j", "m")),
    "kon": (("m", "k"), ("p", "f")),
    "kjonn": (("m", "k"), ("g", "j")),
    "plec": (("m", "k"),),
    "pohlavi": (("m", "z"),),
    "cinsiyet": (("e", "k"),),
}
# Each of these alone is the first letter of a word for boy in one language and for girl in another.
_MANY_SENSES = frozenset("hkvp")
_SPANISH = frozenset(("sexo", "genero"))
_SEX_COLUMNS = word_set(
    "sex gender mf fm mw wm geschlecht sexe genre sexo genero sesso geslacht kon kjonn plec pohlavi cinsiyet "
    "пол стать 性别 性別 성별 φυλο"
)
_MALE_COLUMNS = word_set("male ismale boy mannlich maennlich masculin masculino maschio homme hombre")
_FEMALE_COLUMNS = word_set("female isfemale girl weiblich feminin femenino femminile femmina femme mujer")

_WHOLE = re.compile(r"([0-9]+)[.,]0+")
_SCIENTIFIC = re.compile(r"([0-9])[.,]([0-9]+)e\+([0-9]{1,2})", re.IGNORECASE)


def column_name(text: str) -> str:
    """A column's name through :func:`plain`, without spaces and punctuation: ``boneagemonths``."""
    return "".join(letter for letter in plain(text) if letter.isalnum())


def without_brackets(name: str) -> str:
    """A column's name without text in brackets: ``Sex (M/F)`` is ``Sex``."""
    # Without another bracket in between, or a name of many would take time with their square.
    return re.sub(r"[(\[（【][^(\[（【)\]）】]*[)\]）】]", " ", name)


def read_boolean(text: str) -> bool | None:
    """Yes or no, in any language that a spreadsheet writes; None for anything else.

    ``1`` and ``0`` are yes and no; ``-1``, as Access writes, is yes.
    """
    word = plain(text)
    if re.fullmatch(r"-?1([.,]0+)?", word) or word in _TRUE:
        return True
    if re.fullmatch(r"0([.,]0+)?", word) or word in _FALSE:
        return False
    return None


def read_sex(text: str) -> str | None:
    """The sex, ``F`` or ``M``, in a single cell; None if it gives none.

    ``m``, ``f`` and ``w`` alone are read as in English, French and German. Other letters in the column may
    change their meaning: use :func:`read_sexes`.
    """
    word = plain(text)
    return _sex_of_word(word) or {"m": "M", "м": "M", "f": "F", "w": "F", "ж": "F"}.get(word)


def is_sex_column(name: str) -> bool:
    """Whether a column's name is one for sex: ``male``, ``Sex``, ``Geschlecht`` ..."""
    return column_name(without_brackets(name)) in _SEX_COLUMNS | _MALE_COLUMNS | _FEMALE_COLUMNS


def read_sexes(cells: Sequence[str], name: str) -> tuple[list[str | None], str]:
    """The sexes in a column.

    Args:
        cells: The column's cells.
        name: The column's name. Under ``male`` and the like 1, yes and true mean a boy; under ``female`` a
            girl; under ``sex`` or any other name numbers and logical values are ambiguous.

    Returns:
        ``F``, ``M`` or None for each cell; and what is ambiguous, or "".
    """
    kind = column_name(without_brackets(name))
    words = [plain(cell) for cell in cells]
    letters = {word for word in words if len(word) == 1 and word.isalpha() and not _sex_of_word(word)}
    if kind in _MALE_COLUMNS:
        # F is a girl here, whether for false or for female.
        return [read_sex(word) or _of_boolean(word, "M", "F") for word in words], ""
    if kind in _FEMALE_COLUMNS:
        return _under_female(words, letters, name)
    meaning, doubtful = _meaning_of(letters, kind)
    sexes = [_sex_of_word(word) or meaning.get(word) for word in words]
    why = ""
    if doubtful:
        shown = " and ".join(sorted(letter.upper() for letter in doubtful))
        why = f"{shown} under {name} can mean a boy or a girl; write male and female"
    elif any(sex is None and _is_code(word) for sex, word in zip(sexes, words, strict=True)):
        why = f"numbers, true and false under {name} can mean either; name it male or write M and F"
    return sexes, why


def canonical_id(text: str) -> str:
    """An id as it was before a spreadsheet or a person changed it: ``1377.0``, ``1377.png`` and ``'1377`` are
    ``1377``.

    Drops folders and outer spaces. Leading zeros stay: see :func:`id_finder`.
    """
    # ="1377" makes a spreadsheet keep text.
    path = unicodedata.normalize("NFKC", text).strip().removeprefix("=").strip(" \t\r\n\xa0'\"")
    path = path.replace("\\", "/")
    if ".." in path:
        return path
    name = path.rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES:
        name = stem
    if whole := _WHOLE.fullmatch(name):
        return whole[1]
    written = _SCIENTIFIC.fullmatch(name)
    # 8.10113E+08 has lost digits; 1.377E+03 has not.
    if written and len(written[2]) == int(written[3]):
        return written[1] + written[2]
    return name


def id_finder(known: Iterable[str]) -> Callable[[str], str | None]:
    """A function that finds the known id that a cell means.

    Exact matches come first; then ids that differ in case or leading zeros, if only one known id does.
    """
    exact = {canonical_id(one): one for one in known}
    loose: dict[str, list[str]] = {}
    for canonical, one in exact.items():
        loose.setdefault(_loose(canonical), []).append(one)

    def find(text: str) -> str | None:
        canonical = canonical_id(text)
        if canonical in exact:
            return exact[canonical]
        found = loose.get(_loose(canonical), [])
        return found[0] if len(found) == 1 else None

    return find


def _loose(canonical: str) -> str:
    return (canonical.lstrip("0") or "0") if canonical.isdecimal() else canonical.casefold()


def _of_boolean(cell: str, yes: str, no: str) -> str | None:
    answer = read_boolean(cell)
    return None if answer is None else yes if answer else no


def _under_female(words: list[str], letters: set[str], name: str) -> tuple[list[str | None], str]:
    if letters & {"t", "v", "y", "j", "m"} or "f" not in letters:
        by_sex = "m" in letters
        return [
            (read_sex(word) if by_sex or word != "f" else None) or _of_boolean(word, "F", "M")
            for word in words
        ], ""
    why = f"F under {name} can mean female or false; write true and false"
    return [None if word == "f" else read_sex(word) or _of_boolean(word, "F", "M") for word in words], why


def _meaning_of(letters: set[str], column: str) -> tuple[dict[str, str], set[str]]:
    """What the letters of a column mean, and which of them are ambiguous."""
    alike = {"f" if letter == "w" else letter for letter in letters}
    pairs = [pair for pair in _PAIRS_OF_COLUMN.get(column, _PAIRS) if set(pair) <= alike]
    if not pairs:
        spanish = column in _SPANISH and "f" not in alike
        pairs = [("m", "f"), ("м", "ж")] + ([("h", "m")] if spanish else [])
    senses: dict[str, set[str]] = {}
    for boy, girl in pairs:
        senses.setdefault(boy, set()).add("M")
        senses.setdefault(girl, set()).add("F")
    if "f" in senses:
        senses["w"] = senses["f"]
    meaning = {letter: min(sense) for letter, sense in senses.items() if len(sense) == 1}
    return meaning, letters & (_MANY_SENSES | set(senses)) - set(meaning)


def _is_code(word: str) -> bool:
    return re.fullmatch(r"-?[0-9]+([.,]0+)?", word) is not None or read_boolean(word) is not None


def _sex_of_word(word: str) -> str | None:
    return "M" if word in _MALE else "F" if word in _FEMALE else None
