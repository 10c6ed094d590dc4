"""Countries with some of their cities and their offset from UTC, for realistic journeys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Country(NamedTuple):
    """One country.

    :param name: its English name.
    :param offset: hours ahead of UTC, the same for the whole country.
    :param cities: some cities.
    """

    name: str
    offset: int
    cities: tuple[str, ...]


_TABLE = """
AE United Arab Emirates:4:Dubai,Sharjah,Abu Dhabi|AU Australia:10:Sydney,Melbourne,Brisbane,Perth|
BE Belgium:1:Brussels,Liege,Antwerp,Ghent|BR Brazil:-3:Sao Paulo,Curitiba,Campinas,Recife|
BY Belarus:3:Minsk,Brest,Gomel|CA Canada:-5:Toronto,Montreal,Mississauga,Calgary|
CH Switzerland:1:Zurich,Bern,Basel,Geneva|CN China:8:Shenzhen,Guangzhou,Hangzhou,Beijing,Tianjin|
CO Colombia:-5:Bogota,Medellin,Cali|CZ Czech Republic:1:Prague,Brno,Ostrava|
DE Germany:1:Leipzig,Hamburg,Koeln,Muenchen,Hannover|DK Denmark:1:Copenhagen,Aarhus,Odense|
ES Spain:1:Madrid,Zaragoza,Barcelona,Sevilla|FI Finland:2:Helsinki,Vantaa,Tampere|
FR France:1:Roissy,Lyon,Lille,Nantes|GB United Kingdom:0:London,Coventry,Leeds,Glasgow|
GR Greece:2:Athens,Patras,Thessaloniki|HK Hong Kong [CN]:8:Kwai Chung,Tuen Mun,Chek Lap Kok|
IL Israel:2:Tel Aviv,Haifa,Modiin|IN India:5:Mumbai,Delhi,Bengaluru,Chennai|IT Italy:1:Milano,Bologna,Roma,Napoli|
JP Japan:9:Tokyo,Osaka,Kawasaki,Nagoya|KR South Korea:9:Seoul,Incheon,Busan|MY Malaysia:8:Shah Alam,Penang,Johor Bahru|
NL Netherlands:1:Amsterdam,Den Hoorn,Zwolle,Rotterdam|NO Norway:1:Oslo,Bergen,Trondheim|
NZ New Zealand:12:Auckland,Hamilton,Christchurch|PH Philippines:8:Manila,Cebu,Davao|
PL Poland:1:Warszawa,Lodz,Wroclaw,Gdansk|RU Russian Federation:3:Moscow,Podolsk,Novosibirsk|
SE Sweden:1:Stockholm,Malmo,Goteborg|SG Singapore:8:Changi,Jurong,Tampines|TR Turkey:3:Istanbul,Ankara,Izmir|
TW Taiwan:8:Taipei,Taoyuan,Kaohsiung|UA Ukraine:2:Kyiv,Lviv,Dnipro|
US United States:-6:Chicago,Memphis,Dallas,Los Angeles,Newark
"""


def _parse_table(table: str) -> dict[str, Country]:
    countries = {}
    for row in table.replace("\n", "").split("|"):
        name, offset, cities = row[3:].split(":")
        countries[row[:2]] = Country(name, int(offset), tuple(cities.split(",")))
    return countries


COUNTRIES: Mapping[str, Country] = _parse_table(_TABLE)

CODES: tuple[str, ...] = tuple(COUNTRIES)

_BY_NAME = {country.name.casefold(): code for code, country in COUNTRIES.items()}


def country_code(text: str) -> str | None:
    """Find a country.

    :param text: its English name or its ISO-2 code.
    :return: its ISO-2 code; None if the country is unknown.
    """
    wanted = text.strip()
    return wanted.upper() if wanted.upper() in COUNTRIES else _BY_NAME.get(wanted.casefold())
