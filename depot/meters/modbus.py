"""Read one meter over Modbus TCP, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from depot.meters import sunspec
from depot.meters.measured import Measured, UnreadableError
from depot.meters.registers import measured, read_map
from depot.models import MeterSource
from depot.words import tr

ANSWER_S = 3.0


class ModbusMeter:
    """A connection to a device. `read` raises OSError when the link is bad and UnreadableError for bad content."""

    def __init__(self, source: MeterSource) -> None:
        from pymodbus.client import ModbusTcpClient

        host, port = source.place
        self._source, self._where = source, f"{host}:{port}"
        self._client = ModbusTcpClient(host, port=port, timeout=ANSWER_S, retries=1)
        self._place: sunspec.Place | None = None

    def connect(self) -> None:
        if not self._client.connect():
            raise OSError(tr("Nothing answers at {where}.", where=self._where))

    def close(self) -> None:
        self._client.close()

    def read(self) -> Measured:
        """Return what the meter reads now."""
        if self._source.registers:
            chart = read_map(self._source.registers)
            values = {
                name: register.value(self._ask(register.table, register.address, register.count))
                for name, register in chart.items()
            }
            return measured(values, reversed_power=self._source.reversed)
        if self._place is None:
            self._place = sunspec.find_meter(self._holding)
        registers = self._holding(self._place.address, self._place.count)
        return sunspec.decode(self._place.model, registers, reversed_power=self._source.reversed)

    def _holding(self, address: int, count: int) -> list[int]:
        return self._ask("holding", address, count)

    def _ask(self, table: str, address: int, count: int) -> list[int]:
        from pymodbus.exceptions import ModbusException

        ask: Callable[..., Any] = (
            self._client.read_holding_registers if table == "holding" else self._client.read_input_registers
        )
        try:
            answer = ask(address, count=count, device_id=self._source.unit_id)
        except ModbusException as error:
            raise OSError(tr("{where} does not answer.", where=self._where)) from error
        if answer.isError():
            raise UnreadableError(
                tr(
                    "Unit {unit_id} refuses {table} registers {address} to {last}.",
                    unit_id=self._source.unit_id,
                    table=table,
                    address=address,
                    last=address + count - 1,
                )
            )
        found: Sequence[int] = answer.registers
        if len(found) != count:
            raise UnreadableError(
                tr(
                    "Unit {unit_id} answered {found} registers, not {count}.",
                    unit_id=self._source.unit_id,
                    found=len(found),
                    count=count,
                )
            )
        return list(found)
