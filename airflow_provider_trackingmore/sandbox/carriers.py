"""The sandbox's carriers: codes, names, types and countries are real; home pages and phone numbers are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Carrier:
    """One carrier.

    :param code: the vendor's code.
    :param name: its English name.
    :param kind: ``express`` or ``globalpost``.
    :param country: ISO-2 code of its home country.
    """

    code: str
    name: str
    kind: str
    country: str

    @property
    def homepage(self) -> str:
        """An invented home page."""
        return f"http://www.{self.code}.example/"

    @property
    def phone(self) -> str:
        """An invented phone number."""
        return f"+00 555 {sum(self.code.encode()) % 10_000:04d}"

    def to_dict(self, relative: bool) -> dict[str, Any]:
        """Convert it to an entry of ``GET /carriers``.

        :param relative: whether the home page is protocol-relative.
        :return: name, code, phone, homepage, type and picture.
        """
        return {
            "name": self.name,
            "code": self.code,
            "phone": None if self.code in _WITHOUT_PHONE else self.phone,
            "homepage": self.homepage.removeprefix("http:") if relative else self.homepage,
            "type": self.kind,
            "picture": f"//cdn.sandbox.example/icons/{self.kind}/{self.code}.png",
        }


_WITHOUT_PHONE = frozenset({"winit", "wishpost", "cainiao"})

_EXPRESS = """
dhl DHL DE|ups UPS US|fedex Fedex US|tnt TNT NL|deutsche-post Deutsche_Post DE|dpd DPD DE|dpd-uk DPD_UK GB|
dpd-poland DPD_Poland PL|gls GLS DE|gls-italy GLS_Italy IT|hermes-de Hermes_Germany DE|hermes Hermesworld DE|
hermes-uk MyHermes_UK GB|postnl-3s PostNL_International_3S NL|italy-sda Italy_SDA IT|bartolini BRT_Bartolini IT|
tnt-it TNT_Italy IT|nexive Nexive IT|mrw-spain MRW ES|inpost-paczkomaty InPost_Paczkomaty PL|
nova-poshta Nova_Poshta UA|yanwen YANWEN CN|yunexpress Yun_Express CN|4px 4PX CN|wishpost WishPost CN|
cainiao Aliexpress_Standard_Shipping CN|sto STO_Express CN|zto ZTO_Express CN|yto YTO_Express CN|
yunda Yunda_Express CN|sf-express S.F_Express CN|sfb2c SF_International CN|bestex Best_Express CN|
winit Winit CN|aramex Aramex AE|lasership Lasership US|ontrac OnTrac US|purolator Purolator CA|
dhl-poland DHL_Poland_Domestic PL|dhlparcel-nl DHL_Parcel_Netherlands NL|sagawa Sagawa JP|
taqbin-jp Yamato_Japan JP|t-cat T_Cat TW|fedex-uk FedEx_UK GB|toll TOLL AU|dpex DPEX SG|
ninjavan-my Ninja_Van_Malaysia MY|lbcexpress LBC_Express PH|mondialrelay Mondial_Relay FR|
elta-courier-gr ELTA_Courier GR|acscourier ACS_Courier GR
"""

_POST = """
usps USPS US|china-post China_Post CN|china-ems China_EMS CN|hong-kong-post Hong_Kong_Post HK|
singapore-post Singapore_Post SG|royal-mail United_Kingdom_Royal_Mail GB|parcel-force Parcel_Force GB|
dhl-germany Deutsche_Post_DHL DE|dhlglobalmail DHL_ECommerce DE|postnl-parcels Netherlands_Post_-_PostNL NL|
laposte La_Poste FR|colissimo Colissimo FR|chronopost France_EMS_-_Chronopost FR|
poste-italiane Poste_Italiane IT|correos-spain Correos ES|poczta-polska Poland_Post PL|
australia-post Australia_Post AU|new-zealand-post New_Zealand_Post NZ|canada-post Canada_Post CA|
japan-post Japan_Post JP|korea-post Korea_Post KR|india-post India_Post IN|russian-post Russian_Post RU|
ukraine-post Ukraine_Post UA|belpochta Belarus_Post BY|israel-post Israel_Post IL|
brazil-correios Brazil_Correios BR|swiss-post Swiss_Post CH|belgium-post Bpost BE|
sweden-posten Sweden_Posten SE|posten-norge Posten_Norge NO|denmark-post Denmark_post DK|
finland-posti Finland_Post_-_Posti FI|czech-post Česká_Pošta CZ|colombia-post Colombia_Post CO|
turkey-post Turkey_Post TR|singapore-speedpost Singapore_Speedpost SG
"""


def _parse_table(table: str, kind: str) -> list[Carrier]:
    rows = (row.split() for row in table.replace("\n", "").split("|"))
    return [Carrier(code, name.replace("_", " "), kind, country) for code, name, country in rows]


CARRIERS: Mapping[str, Carrier] = {
    carrier.code: carrier for carrier in (*_parse_table(_EXPRESS, "express"), *_parse_table(_POST, "globalpost"))
}

POST_OF: Mapping[str, Carrier] = {
    carrier.country: carrier for carrier in reversed(list(CARRIERS.values())) if carrier.kind == "globalpost"
}
"""The first postal carrier of each country."""

_NUMBER = re.compile(r"[0-9a-z_-]{5,}", re.IGNORECASE)
_UPU = re.compile(r"[A-Z]{2}\d{9}([A-Z]{2})")
_NUMBER_FORMATS = (
    (re.compile(r"1Z[0-9A-Z]{16}"), ("ups",)),
    (re.compile(r"9[0-9]{19,25}"), ("usps", "dhlglobalmail")),
    (re.compile(r"\d{12}"), ("fedex", "zto")),
    (re.compile(r"\d{10}"), ("dhl", "sto")),
    (re.compile(r"\d{14}"), ("dpd", "hermes-de", "bestex")),
    (re.compile(r"SF\d{10,13}"), ("sf-express",)),
)
UNDETECTABLE = "SBX-UNDETECTABLE"


def is_tracking_number(number: str, any_text: bool) -> bool:
    """Check the format of a tracking number.

    :param number: the number.
    :param any_text: accept any text that is not blank, not only what the vendor's SDK accepts (reference 1.0).
    :return: whether it is accepted as a tracking number.
    """
    if any_text:
        return bool(number.strip())
    return _NUMBER.fullmatch(number) is not None


def detect_carriers(number: str) -> list[Carrier]:
    """Guess the carriers of a tracking number.

    :param number: the tracking number.
    :return: candidates, most likely first; none for ``SBX-UNDETECTABLE-…``.
    """
    if number.upper().startswith(UNDETECTABLE):
        return []
    upu = _UPU.fullmatch(number.upper())
    if upu:
        candidates = [carrier for carrier in CARRIERS.values() if carrier.country == upu[1]]
        return sorted(candidates, key=lambda carrier: carrier.kind != "globalpost")[:3]
    for pattern, codes in _NUMBER_FORMATS:
        if pattern.fullmatch(number.upper()):
            return [CARRIERS[code] for code in codes]
    return [CARRIERS["dhl"], CARRIERS["ups"]]
