"""Puts the fields of a body into slots: fields at the top level, in known nested objects, and with dotted names."""

from collections.abc import Mapping
from typing import Any

from vantixs_ingress.domain.payload.field_aliases import DESCRIBING, NESTS, PARTLY
from vantixs_ingress.domain.payload.field_handlers import place
from vantixs_ingress.domain.payload.kept_fields import as_json, keep
from vantixs_ingress.domain.payload.reading import Draft
from vantixs_ingress.domain.payload.vocabulary import slot_of


def collect(fields: Mapping[str, Any], draft: Draft) -> None:
    """Puts every field of a body into the draft."""
    for name, value in fields.items():
        if isinstance(value, dict):
            folded = slot_of(name)[0]
            if folded in NESTS:
                _collect_nest(name, NESTS[folded], value, draft)
                continue
            if folded in PARTLY:
                _collect_partly(name, folded, value, draft)
                continue
        if "." in name and _place_dotted(name, value, draft):
            continue
        place(name, slot_of(name)[1], value, draft)


def _collect_nest(nest: str, names: Mapping[str, str], fields: Mapping[str, Any], draft: Draft) -> None:
    for name, value in fields.items():
        path = f"{nest}.{name}"
        folded, slot = slot_of(name)
        if isinstance(value, dict) and f"{slot_of(nest)[0]}.{folded}" in NESTS:
            for inner, inner_value in value.items():
                inner_folded, inner_slot = slot_of(inner)
                place(f"{path}.{inner}", NESTS["strategy.order"].get(inner_folded, inner_slot), inner_value, draft)
        elif isinstance(value, dict) and folded in PARTLY:
            _collect_partly(path, folded, value, draft)
        else:
            place(path, names.get(folded, slot), value, draft)


def _collect_partly(name: str, folded: str, fields: Mapping[str, Any], draft: Draft) -> None:
    if folded == "currency":
        base, quote = fields.get("base"), fields.get("quote")
        if isinstance(base, str) and isinstance(quote, str):
            place(name, "symbol", f"{base}/{quote}", draft)
    rest = {}
    for inner, value in fields.items():
        inner_folded, slot = slot_of(inner)
        used = slot if slot == "secret" else PARTLY[folded].get(inner_folded)
        if used:
            place(f"{name}.{inner}", used, value, draft)
        else:
            rest[inner] = value
    if rest and folded in DESCRIBING:
        draft.keep(name, as_json(rest))
    elif rest:
        keep(name, rest, draft)


def _place_dotted(name: str, value: Any, draft: Draft) -> bool:
    """Places a field with a dotted name, such as `strategy.order.action`."""
    nest, _, inner = name.rpartition(".")
    names = NESTS.get(slot_of(nest)[0])
    if names is None:
        return False
    folded, slot = slot_of(inner)
    place(name, names.get(folded, slot), value, draft)
    return True
