"""How people and their spreadsheets write yes and no, a child's sex, and the id of an image.

Understood is only what can mean one thing. Where letters mean different things in different languages (``m``
is *male*, but *mujer* beside ``h``), the whole column decides, or says that it cannot.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from boneage.images.reading import IMAGE_SUFFIXES

# What Unicode does not decompose.
_UNMARKED = str.maketrans("ıłŁøØ", "ilLoO")


def plain(text: str) -> str:
    """Text in small letters without accents, outer spaces and punctuation: ``" Mädchen. "`` is ``madchen``.

    Letters of scripts other than Latin and Greek keep their marks: й without its own is another letter.
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
    """The words of a text, each as :func:`plain`."""
    return frozenset(map(plain, text.split()))


# As spreadsheets write a logical value in their languages, and as people answer a question.
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
# What two letters in one column can stand for, (boy, girl): German w is taken for f before.
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
# What the language of a column's name makes of letters that mean different things in others.
_PAIRS_OF_COLUMN = {
    "geschlecht": (("m", "f"), ("j", "m"), ("k", "m")),
    "geslacht": (("m", "v"), ("j", "m")),
    "kon": (("m", "k"), ("p", "f")),
    "kjonn": (("m", "k"), ("g", "j")),
    "plec": (("m", "k"),),
    "pohlavi": (("m", "z"),),
    "cinsiyet": (("e", "k"),),
}
# Alone, each of these is the first letter of a word for a boy in one language and for a girl in another.
_MANY_SENSES = frozenset("hkvp")
_SPANISH = frozenset(("sexo", "genero"))
_SEX_COLUMNS = word_set(
    "sex gender mf fm mw wm geschlecht sexe genre sexo genero sesso geslacht kon kjonn plec pohlavi cinsiyet "
    "пол стать 性别 性別 성별 φυλο"
)
_MALE_COLUMNS = word_set("male ismale boy mannlich maennlich masculin masculino maschio homme hombre")
_FEMALE_COLUMNS = word_set("female isfemale girl weiblich feminin femenino femminile femmina femme mujer")

_WHOLE = re.compile(r"([0-9]+)[.,]0+")
_SCIENTIFIC = re.compile(r"([0-9])[.,]?([0-9]*)e\+?([0-9]{1,2})", re.IGNORECASE)


def column_name(text: str) -> str:
    """A column's name as :func:`plain`, without spaces and punctuation: ``boneagemonths``."""
    return "".join(letter for letter in plain(text) if letter.isalnum())


def without_brackets(name: str) -> str:
    """A column's name without what it explains in brackets: ``Sex (M/F)`` is ``Sex``."""
    return re.sub(r"[(\[（【].*?[)\]）】]", " ", name)


def read_boolean(text: str) -> bool | None:
    """What a cell says of a yes-or-no question, in any language a spreadsheet writes; None where it does not.

    ``1`` and ``0`` are yes and no, ``-1`` (as Access writes) is yes.
    """
    word = plain(text)
    if re.fullmatch(r"-?1([.,]0+)?", word) or word in _TRUE:
        return True
    if re.fullmatch(r"0([.,]0+)?", word) or word in _FALSE:
        return False
    return None


def read_sex(text: str) -> str | None:
    """The sex, ``F`` or ``M``, that a single cell names; None where it names none.

    ``m``, ``f`` and ``w`` alone are read as in English, French and German. In a whole column other letters
    beside them may give them another meaning: use :func:`read_sexes`.
    """
    word = plain(text)
    return _sex_of_word(word) or {"m": "M", "м": "M", "f": "F", "w": "F", "ж": "F"}.get(word)


def is_sex_column(name: str) -> bool:
    """Whether a column of that name tells the sex: ``male``, ``Sex``, ``Geschlecht`` ..."""
    return column_name(without_brackets(name)) in _SEX_COLUMNS | _MALE_COLUMNS | _FEMALE_COLUMNS


def read_sexes(cells: Sequence[str], name: str) -> tuple[list[str | None], str]:
    """The sexes that a column tells.

    Args:
        cells: The column's cells.
        name: The column's name. Under ``male`` and its like 1, yes and true are a boy; under ``female`` a
            girl; under ``sex`` and any other name numbers and logical values mean nothing by themselves.

    Returns:
        ``F``, ``M`` or None for each cell, and what could mean two things where something could, else "".
    """
    kind = column_name(without_brackets(name))
    words = [plain(cell) for cell in cells]
    letters = {word for word in words if len(word) == 1 and word.isalpha() and not _sex_of_word(word)}
    if kind in _MALE_COLUMNS:
        # F is a girl here whether it stands for false or for female.
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
    """An id before a spreadsheet or a person wrote it: ``1377.0``, ``1377.png``, ``'1377`` are ``1377``.

    A folder before a file's name goes, and so do spaces around it. Leading zeros stay: see :func:`id_finder`.
    """
    # ="1377" is how text is forced upon a spreadsheet.
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
    """A function that finds the id, among known ones, that a cell means.

    An id that is written as known is found first; then one that differs in capitals or leading zeros, where
    only one known id does.
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
    """What the letters of a column mean, and which of them can mean two things."""
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
