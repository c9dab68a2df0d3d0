"""What commands to stations are called, for people."""

from __future__ import annotations

from depot.words import mark, tr

WORDS = {
    "afrr_signal": mark("follow the grid operator's signal"),
    "allow_energy_transfer": mark("allow the vehicle's energy transfer"),
    "availability": mark("change the availability"),
    "call": mark("a message written by hand"),
    "certificate_signed": mark("take the signed certificate"),
    "certificates": mark("say its root certificates"),
    "clear_cache": mark("clear its list of known tokens"),
    "clear_der_control": mark("end a control of the inverter"),
    "clear_profiles": mark("forget its charging profiles"),
    "composite": mark("say what it will do"),
    "data_transfer": mark("take the maker's data"),
    "delete_certificate": mark("delete a certificate"),
    "get_der_control": mark("say the controls of the inverter"),
    "get_log": mark("send its diagnostics"),
    "get_profiles": mark("say its charging profiles"),
    "get_variables": mark("say some of its settings"),
    "install_certificate": mark("install a root certificate"),
    "local_list": mark("take the list of known tokens"),
    "local_list_version": mark("say the version of its list of known tokens"),
    "new_password": mark("take a new password"),
    "priority_charging": mark("charge with priority"),
    "remote_start": mark("start charging"),
    "remote_stop": mark("end charging"),
    "report": mark("say its set-up"),
    "reset": mark("restart"),
    "set_ceiling": mark("hold a lower power"),
    "set_default": mark("keep the safe power"),
    "set_der_control": mark("set a control of the inverter"),
    "set_dynamic": mark("follow a moving set-point"),
    "set_local_frequency": mark("follow the grid's frequency"),
    "set_schedule": mark("follow the plan"),
    "set_signal_curve": mark("follow a curve of the signal"),
    "set_variables": mark("change its settings"),
    "setpoint": mark("move the set-point"),
    "transaction_status": mark("say which messages of a transaction wait"),
    "trigger": mark("send a message"),
    "unlock": mark("unlock a connector"),
    "update_firmware": mark("load other firmware"),
}
"""By action of a command."""


def command_words(action: str) -> str:
    """Say what a command orders; an action nobody has named is said as it is written."""
    return tr(WORDS.get(action, action))
