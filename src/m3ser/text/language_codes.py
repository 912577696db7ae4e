"""Codes of languages: what a BCP 47 code names, and whether it is one.

The table is ISO 639-1 with the three-letter codes of ISO 639-2 and 639-3 beside it, and the standard's English names.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from m3ser.errors import UsageError

__all__ = ["known_language", "language_code", "language_name"]

_CODE = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]{1,8})*")


def language_code(value: str) -> str:
    """The language of a BCP 47 code, without its region or script: "de" for "de", "de-AT", "DE_at", "deu" and "ger".

    Two letters are one of ISO 639-1; three letters become these where that language has any, and stay where not.

    Raises:
        UsageError: it is no such code.
    """
    match = _CODE.fullmatch(value.strip()) if isinstance(value, str) else None
    code = "" if match is None else match.group(1).lower()
    short = code if len(code) == 2 else _long().get(code, code)
    if not code or (len(short) == 2 and short not in _names()) or short in _NO_LANGUAGE:
        raise UsageError(f"{value!r} is no code of a language; expected one of ISO 639-1, such as en, de or pt-BR.")
    return short


def known_language(code: str | None) -> str | None:
    """A code that somebody else gave, in our form; None where it is none."""
    try:
        return None if code is None else language_code(code)
    except UsageError:
        return None


def language_name(code: str) -> str:
    """The English name of a language by the code of :func:`language_code`; the code itself where it is not known."""
    return _names().get(code, code)


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {code: name for code, _, name in _rows()}


@lru_cache(maxsize=1)
def _long() -> dict[str, str]:
    return {long: code for code, longs, _ in _rows() for long in longs.split("/")}


def _rows() -> list[tuple[str, str, str]]:
    rows = [" ".join(row.split()).split(" ", 2) for row in _TABLE.split(";")]
    return [(code, longs, name) for code, longs, name in rows]


_NO_LANGUAGE: Final = ("mis", "mul", "und", "zxx")
"""Codes of ISO 639-2 for what is not one language: uncoded, several, not known, none."""

_TABLE: Final = """\
aa aar Afar; ab abk Abkhazian; ae ave Avestan; af afr Afrikaans; ak aka Akan; am amh Amharic; an arg Aragonese; ar ara
Arabic; as asm Assamese; av ava Avaric; ay aym Aymara; az aze Azerbaijani; ba bak Bashkir; be bel Belarusian; bg bul
Bulgarian; bi bis Bislama; bm bam Bambara; bn ben Bengali; bo bod/tib Tibetan; br bre Breton; bs bos Bosnian; ca cat
Catalan; ce che Chechen; ch cha Chamorro; co cos Corsican; cr cre Cree; cs ces/cze Czech; cu chu Church Slavic; cv chv
Chuvash; cy cym/wel Welsh; da dan Danish; de deu/ger German; dv div Divehi; dz dzo Dzongkha; ee ewe Ewe; el ell/gre
Greek; en eng English; eo epo Esperanto; es spa Spanish; et est Estonian; eu eus/baq Basque; fa fas/per Persian; ff
ful Fulah; fi fin Finnish; fj fij Fijian; fo fao Faroese; fr fra/fre French; fy fry Western Frisian; ga gle Irish; gd
gla Scottish Gaelic; gl glg Galician; gn grn Guarani; gu guj Gujarati; gv glv Manx; ha hau Hausa; he heb Hebrew; hi
hin Hindi; ho hmo Hiri Motu; hr hrv Croatian; ht hat Haitian Creole; hu hun Hungarian; hy hye/arm Armenian; hz her
Herero; ia ina Interlingua; id ind Indonesian; ie ile Interlingue; ig ibo Igbo; ii iii Sichuan Yi; ik ipk Inupiaq; io
ido Ido; is isl/ice Icelandic; it ita Italian; iu iku Inuktitut; ja jpn Japanese; jv jav Javanese; ka kat/geo
Georgian; kg kon Kongo; ki kik Kikuyu; kj kua Kuanyama; kk kaz Kazakh; kl kal Kalaallisut; km khm Khmer; kn kan
Kannada; ko kor Korean; kr kau Kanuri; ks kas Kashmiri; ku kur Kurdish; kv kom Komi; kw cor Cornish; ky kir Kirghiz;
la lat Latin; lb ltz Luxembourgish; lg lug Ganda; li lim Limburgan; ln lin Lingala; lo lao Lao; lt lit Lithuanian; lu
lub Luba-Katanga; lv lav Latvian; mg mlg Malagasy; mh mah Marshallese; mi mri/mao Maori; mk mkd/mac Macedonian; ml mal
Malayalam; mn mon Mongolian; mr mar Marathi; ms msa/may Malay; mt mlt Maltese; my mya/bur Burmese; na nau Nauru; nb
nob Norwegian Bokmål; nd nde North Ndebele; ne nep Nepali; ng ndo Ndonga; nl nld/dut Dutch; nn nno Norwegian Nynorsk;
no nor Norwegian; nr nbl South Ndebele; nv nav Navajo; ny nya Chichewa; oc oci Occitan; oj oji Ojibwa; om orm Oromo;
or ori Odia; os oss Ossetian; pa pan Panjabi; pi pli Pali; pl pol Polish; ps pus Pushto; pt por Portuguese; qu que
Quechua; rm roh Romansh; rn run Rundi; ro ron/rum Romanian; ru rus Russian; rw kin Kinyarwanda; sa san Sanskrit; sc
srd Sardinian; sd snd Sindhi; se sme Northern Sami; sg sag Sango; si sin Sinhala; sk slk/slo Slovak; sl slv Slovenian;
sm smo Samoan; sn sna Shona; so som Somali; sq sqi/alb Albanian; sr srp Serbian; ss ssw Swati; st sot Southern Sotho;
su sun Sundanese; sv swe Swedish; sw swa Swahili; ta tam Tamil; te tel Telugu; tg tgk Tajik; th tha Thai; ti tir
Tigrinya; tk tuk Turkmen; tl tgl Tagalog; tn tsn Tswana; to ton Tonga; tr tur Turkish; ts tso Tsonga; tt tat Tatar; tw
twi Twi; ty tah Tahitian; ug uig Uighur; uk ukr Ukrainian; ur urd Urdu; uz uzb Uzbek; ve ven Venda; vi vie Vietnamese;
vo vol Volapük; wa wln Walloon; wo wol Wolof; xh xho Xhosa; yi yid Yiddish; yo yor Yoruba; za zha Zhuang; zh zho/chi
Chinese; zu zul Zulu
"""
