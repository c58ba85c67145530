"""Yes and no, sexes and ids as people and spreadsheets write them; what can mean two things is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boneage.sources.spellings import canonical_id, id_finder, read_boolean, read_sex, read_sexes


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("TRUE", "FALSE"),
        (" true ", "False"),
        ("WAHR", "FALSCH"),
        ("VRAI", "FAUX"),
        ("VERDADERO", "FALSO"),
        ("VERO", "FALSO"),
        ("VERDADEIRO", "FALSO"),
        ("WAAR", "ONWAAR"),
        ("SANT", "FALSKT"),
        ("SAND", "FALSK"),
        ("TOSI", "EPÄTOSI"),
        ("PRAWDA", "FAŁSZ"),
        ("PRAVDA", "NEPRAVDA"),
        ("IGAZ", "HAMIS"),
        ("ADEVĂRAT", "FALS"),
        ("DOĞRU", "YANLIŞ"),
        ("ИСТИНА", "ЛОЖЬ"),
        ("ІСТИНА", "ХИБНІСТЬ"),
        ("ΑΛΗΘΗΣ", "ΨΕΥΔΗΣ"),
        ("真", "假"),
        ("참", "거짓"),
        ("1", "0"),
        ("1.0", "0.0"),
        ("-1", "0"),
        ("T", "F"),
        ("yes", "no"),
        ("ja", "nein"),
        ("sí", "no"),
        ("да", "нет"),
        ("'TRUE", "'FALSE"),
        ("ＴＲＵＥ", "ＦＡＬＳＥ"),
    ],
)
def test_a_logical_value_is_read_in_the_languages_of_spreadsheets(yes, no):
    assert read_boolean(yes) is True
    assert read_boolean(no) is False


@pytest.mark.parametrize("text", ["", "maybe", "2", "10", "M", "female", "nan", "?", "truefalse"])
def test_what_is_no_logical_value_is_none(text):
    assert read_boolean(text) is None


@pytest.mark.parametrize(
    ("boy", "girl"),
    [
        ("M", "F"),
        ("m", "w"),
        ("male", "female"),
        ("Boy", "Girl"),
        ("männlich", "weiblich"),
        ("Junge", "Mädchen"),
        ("MANN", "FRAU"),
        ("hombre", "mujer"),
        ("niño", "niña"),
        ("homme", "femme"),
        ("garçon", "fille"),
        ("maschio", "femmina"),
        ("man", "vrouw"),
        ("mężczyzna", "kobieta"),
        ("erkek", "kız"),
        ("мальчик", "девочка"),
        ("М", "Ж"),
        ("мужской", "женский"),
        ("男", "女"),
        ("남", "여"),
        ("ذكر", "أنثى"),
    ],
)
def test_a_sex_is_read_in_words_and_letters(boy, girl):
    assert (read_sex(boy), read_sex(girl)) == ("M", "F")
    assert read_sexes([boy, girl, girl], "Sex") == (["M", "F", "F"], "")
    assert read_sexes([boy, girl], "male") == (["M", "F"], "")


@pytest.mark.parametrize(
    ("cells", "name", "sexes"),
    [
        ("TRUE FALSE", "male", "M F"),
        ("WAHR FALSCH", "male", "M F"),
        ("1 0 1.0", "Male", "M F M"),
        ("T F", "male", "M F"),
        ("M F", "is male", "M F"),
        ("J N", "männlich", "M F"),
        ("V F", "male", "M F"),
        ("1 0", "female", "F M"),
        ("T F", "female", "F M"),
        ("F M", "female", "F M"),
        ("FALSCH WAHR", "weiblich", "M F"),
        ("H F", "sexe", "M F"),
        ("G F", "sexe", "M F"),
        ("J M", "Geschlecht", "M F"),
        ("M W d", "Geschlecht", "M F -"),
        ("M F unknown", "gender", "M F -"),
        ("B G", "sex", "M F"),
        ("M", "sex", "M"),
        ("E K", "cinsiyet", "M F"),
        ("M V", "geslacht", "M F"),
        ("M K", "kön", "M F"),
        ("K M", "Geschlecht", "M F"),
        ("M F", "Sex (m/f)", "M F"),
    ],
)
def test_a_column_is_read_by_its_name_and_all_its_letters(cells, name, sexes):
    found, why = read_sexes(cells.split(), name)
    assert found == [None if sex == "-" else sex for sex in sexes.split()]
    assert why == ""


@pytest.mark.parametrize(
    ("cells", "name", "words"),
    [
        # hombre and mujer, or hembra and macho.
        ("H M", "sexo", "H and M under sexo can mean a boy or a girl"),
        # Knabe and Mädchen, or kvinna and man.
        ("K M", "sex", "K and M under sex"),
        ("V M", "sex", "M and V under sex"),
        ("H", "sexe", "H under sexe"),
        ("M", "sexo", "M under sexo"),
        ("0 1", "sex", "numbers, true and false under sex can mean either"),
        ("1 2", "gender", "can mean either"),
        ("TRUE FALSE", "sex", "can mean either"),
        ("F 0", "female", "F under female can mean female or false"),
    ],
)
def test_what_can_mean_two_things_is_said_and_not_guessed(cells, name, words):
    found, why = read_sexes(cells.split(), name)
    assert None in found
    assert words in why


def test_letters_of_two_languages_that_disagree_leave_only_the_doubtful_ones_out():
    found, why = read_sexes(["H", "M", "F", "girl"], "sex")
    assert found == [None, None, "F", "F"]
    assert "H and M" in why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1377", "1377"),
        ("1377.0", "1377"),
        ("1377,0", "1377"),
        ("1377.png", "1377"),
        ("1377.JPG", "1377"),
        ("images/1377.png", "1377"),
        ("C:\\data\\1377.dcm", "1377"),
        (" 1377\xa0", "1377"),
        ("'1377", "1377"),
        ("1.377E+03", "1377"),
        ("12e1", "12e1"),
        ("5e00", "5e00"),
        ("１３７７", "1377"),
        ("8.10113E+08", "8.10113E+08"),
        ("a.b", "a.b"),
        ("1377.5", "1377.5"),
        ("0042", "0042"),
        ("../7", "../7"),
        ("", ""),
    ],
)
def test_ids_come_back_from_a_spreadsheet(text, expected):
    assert canonical_id(text) == expected


def test_leading_zeros_lost_or_added_are_found_where_only_one_id_can_be_meant():
    find = id_finder(["0042", "1377", "IMG_7", "00", "007", "7"])
    assert find("42") == find("42.0") == find("00042.png") == "0042"
    assert find("01377") == "1377"
    assert find("img_7.PNG") == "IMG_7"
    assert find("0") == "00"
    assert find("7") == "7"
    assert find("007") == "007"
    # Both 007 and 7 are there.
    assert find("07") is None
    assert find("8") is None
    assert id_finder(["0042"])("42.0") == "0042"
    assert id_finder(["42"])("43") is None


@given(st.integers(0, 10**12).map(str), st.integers(0, 4))
def test_any_number_survives_what_a_spreadsheet_does_to_it(number, zeros):
    for text in (number, f"{number}.0", f"{number}.png", "0" * zeros + number):
        assert id_finder([number])(text) == number
