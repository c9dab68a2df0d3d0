"""Normalise OpenEI URDB records: wrappers, two spellings, and which fields mean money.

Field names: the API answers in lower case (version 7 and 8), the bulk export in camelCase with some names of
its own (energyRateStrux, demandReactPwrCharge, flatDemandUnits).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from billing.tariff.problems import Problem, TariffError
from billing.tariff.text import parse_text
from depot.words import tr

MAX_WRAPPERS = 4

# Bulk-export and older names, in lower case, of the API's fields.
_ALIASES = {
    "energyratestrux": "energyratestructure",
    "demandratestrux": "demandratestructure",
    "flatdemandstrux": "flatdemandstructure",
    "coincidentratestrux": "coincidentratestructure",
    "energyweekdaysched": "energyweekdayschedule",
    "energyweekendsched": "energyweekendschedule",
    "demandweekdaysched": "demandweekdayschedule",
    "demandweekendsched": "demandweekendschedule",
    "coincidentsched": "coincidentschedule",
    "flatdemandunits": "flatdemandunit",
    "demandrateunits": "demandrateunit",
    "coincidentrateunits": "coincidentrateunit",
    "energyrateunits": "energyrateunit",
    "demandreactpwrcharge": "demandreactivepowercharge",
    "demandreactivepowerchg": "demandreactivepowercharge",
    "demandratchetpct": "demandratchetpercentage",
    "supercedes": "supersedes",
    "utilityname": "utility",
    "ratename": "name",
    "effectivedate": "startdate",
    "sourcereference": "source",
    "minmonthlycharge": "mincharge",
}

# Read by the importer, one way or another.
_READ = {
    "name", "utility", "uri", "source", "startdate", "enddate", "dgrules", "country",
    "energyratestructure", "energyweekdayschedule", "energyweekendschedule", "energytoulabels",
    "energyrateunit", "demandratestructure", "demandweekdayschedule", "demandweekendschedule",
    "demandlabels", "demandtoulabels",
    "demandunits", "demandrateunit", "demandwindow", "demandreactivepowercharge",
    "demandratchetpercentage", "lookbackpercent", "lookbackrange", "lookbackmonths",
    "flatdemandstructure", "flatdemandmonths", "flatdemandunit",
    "coincidentratestructure", "coincidentschedule", "coincidentrateunit",
    "fixedchargefirstmeter", "fixedchargeunits", "fixedmonthlycharge", "fixedchargeeaaddl",
    "mincharge", "minchargeunits", "annualmincharge",
}  # fmt: skip

# Describe the record, the customer or the page; no money in them.
_INFORMATION = {
    "label", "revisions", "approved", "isdefault", "is_default", "eiaid", "supersedes", "sector",
    "servicetype",
    "description", "sourceparent", "voltagecategory", "voltageminimum", "voltagemaximum", "phasewiring",
    "peakkwcapacitymin", "peakkwcapacitymax", "peakkwcapacityhistory", "peakkwhusagemin", "peakkwhusagemax",
    "peakkwhusagehistory", "energycomments", "demandcomments", "basicinformationcomments", "energyattrs",
    "demandattrs", "fixedattrs", "energykeyvals", "demandkeyvals", "fixedkeyvals", "demandmin", "demandmax",
    "demandhist", "energymin", "energymax", "energyhist", "demandhistory", "energyhistory", "_id", "version",
    "usenetmetering", "openei_url",
}  # fmt: skip

# Free-text lists of the page; what sounds like money in them is told, because it cannot be billed.
_FREE_TEXT = ("attrs", "keyvals")
_FREE_MONEY_WORDS = ("$", "rate", "charge", "adjust", "fee", "tax")

# A name with one of these may carry a price, so an unknown one is refused instead of noted.
_MONEY_WORDS = (
    "rate",
    "charge",
    "price",
    "fee",
    "tax",
    "credit",
    "demand",
    "energy",
    "tier",
    "ratchet",
    "sched",
)


def unwrap(data: Any) -> Any:
    """Return the record inside JSON text, {"items": [...]} or a list of one; raise TariffError otherwise."""
    for _ in range(MAX_WRAPPERS):
        if isinstance(data, str | bytes):
            data = parse_text(data)
        elif isinstance(data, Mapping) and isinstance(data.get("items"), list):
            data = data["items"]
        elif isinstance(data, list):
            if len(data) != 1:
                labels = ", ".join(str(row.get("label", "?")) for row in data[:5] if isinstance(row, Mapping))
                message = tr("{data} tariffs where one is expected", data=len(data))
                cure = tr("Keep one of them ({labels})", labels=labels) if labels else tr("Give one")
                raise TariffError([Problem("items", message, cure)])
            data = data[0]
        else:
            break
    if not isinstance(data, Mapping):
        raise TariffError(
            [
                Problem(
                    tr("the tariff"),
                    tr("it is not a JSON object"),
                    tr("Give one tariff as JSON or YAML object"),
                )
            ]
        )
    return data


def normalise(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem], list[str], list[str]]:
    """Return the record in the API's spelling, problems, unsupported elements and notes."""
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    unsupported: list[str] = []
    notes: list[str] = []
    for key, value in record.items():
        name = _ALIASES.get(key.lower(), key.lower())
        if value is None or name in _INFORMATION:
            notes += _free_text_notes(key, value) if name.endswith(_FREE_TEXT) else []
            continue
        if name not in _READ:
            if any(word in name for word in _MONEY_WORDS) and not name.endswith("comments"):
                unsupported.append(tr("{key}: the URDB field '{key}' is not supported.", key=key))
            else:
                notes.append(tr("The URDB field '{key}' is not known and was not read.", key=key))
        elif name in fields and fields[name] != value:
            message = tr("'{key}' is given twice with different values", key=key)
            problems.append(Problem(key, message, tr("Keep the right one")))
        else:
            fields[name] = value
    for name in [name for name in fields if name.endswith("structure")]:
        fields[name] = _tier_lists(fields[name])
    return fields, problems, unsupported, notes


def _free_text_notes(key: str, value: Any) -> list[str]:
    rows = [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []
    names = [str(name) for row in rows for name in ([row["key"]] if "key" in row else row)]
    return [
        tr("The free text '{key}' mentions '{name}', which is not billed.", key=key, name=name.strip())
        for name in names
        if any(word in name.lower() for word in _FREE_MONEY_WORDS)
    ]


def _tier_lists(structure: Any) -> Any:
    """Return [[tier, ...], ...]; the bulk export writes [{"energyRateTiers": [tier, ...]}, ...]."""
    if not isinstance(structure, list):
        return structure
    rows = []
    for row in structure:
        lists = [v for k, v in row.items() if k.lower().endswith("tiers")] if isinstance(row, Mapping) else []
        rows.append(lists[0] if lists else row)
    return rows
