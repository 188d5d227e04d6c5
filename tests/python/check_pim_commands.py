#!/usr/bin/env python3
"""Checks command traces of PIM-GPT against rules that are written down here a second time.

Usage:
  check_pim_commands.py TRACE.csv PARAMS.json [--mutants]

TRACE.csv has the header cycle,cmd,channel,rank,bankgroup,bank,row,column,half; PARAMS.json holds
"organization" and "timing" in command cycles. What single-bank commands and refresh must obey is
checked by the shared tool tools/check_dram_commands.py below ATTELIER_SHARED, which knows nothing of
in-memory commands; it gets the trace without them. This file adds:

  ACTAB, ACT4   open a row in all banks, or in those of one group
  MACAB         one column of every open bank times one burst of a half of the vector buffer
  WRGB          one burst into a half of the vector buffer
  RDMAC         reads and clears the accumulators
  WRAB          one number into one column of every bank

With --mutants the beginning of the trace is damaged in every way that the rules name, and each rule has
to notice.
Exit status: 0 legal (and all mutants caught), 1 not, 2 no shared tool.
"""

import copy
import csv
import importlib.util
import json
import os
import sys

SINGLE = {"ACT", "PRE", "PREA", "RD", "WR", "REFA"}
PIM = {"ACTAB", "ACT4", "MACAB", "WRGB", "RDMAC", "WRAB"}
WRITES = {"WR", "WRGB", "WRAB"}

# Commands from the beginning of a trace that mutants are made of.
DAMAGED = 5000

# Rule, and the timing that tightens it.
TIMED = {
    "pim.tRP": "tRP",
    "pim.tRC": "tRC",
    "pim.tRAS": "tRAS",
    "pim.tRTP": "tRTP",
    "pim.tWR": "tWR",
    "pim.tRCDMAC": "tRCDMAC",
    "pim.tRCDWR": "tRCDWR",
    "pim.tCCDMAC": "tCCDMAC",
    "pim.tCCD": "tCCD_S",
    "pim.tRTW": "tRTW",
    "pim.tWTR": "tWTR_S",
    "pim.tMACRD": "tMACRD",
    "pim.tRDMAC": "tRDMAC",
    "pim.tRFC": "tRFC",
    "pim.tFAW": "tFAW",
    "pim.buffer_ready": "tCWL",
}


class Command:
    """One line of a trace."""

    FIELDS = ("cycle", "cmd", "channel", "rank", "bankgroup", "bank", "row", "column", "half")

    def __init__(self, line):
        for field in self.FIELDS:
            value = line[field]
            setattr(self, field, value if field == "cmd" else int(value))

    def base(self):
        """As the shared tool reads it."""
        return tuple(getattr(self, field) for field in self.FIELDS[:8])


class Bank:
    """When what last happened to a bank."""

    def __init__(self):
        self.row = None
        self.opened = self.closed = self.read = self.written = None


class Channel:
    """State of one channel, and the violations of its commands."""

    def __init__(self, organization, timing, found, margins):
        self.o, self.t = organization, timing
        self.found, self.margins = found, margins
        count = organization["bankgroups"] * organization["banks_per_group"]
        self.banks = [Bank() for _ in range(count)]
        self.last = self.mac = self.mac_since_read = None
        self.readout = self.write = self.refresh = self.opening = None
        # Of each half: bursts written in a row, and the cycle of the last.
        self.bursts = [0, 0]
        self.filled = [None, None]
        self.macs = 0
        self.column = None

    def fail(self, rule, command, text):
        self.found.append((rule, f"cycle {command.cycle} {command.cmd}: {text}"))

    def need(self, rule, command, since, distance):
        """`command` comes at least `distance` cycles after `since`."""
        if since is None:
            return
        margin = command.cycle - since - distance
        self.margins[rule] = min(margin, self.margins.get(rule, margin))
        if margin < 0:
            self.fail(rule, command, f"{command.cycle - since} < {distance}")

    def covered(self, command):
        """Banks that a command goes to."""
        size = self.o["banks_per_group"]
        first = command.bankgroup * size
        if command.cmd in ("ACT", "PRE", "RD", "WR"):
            return [self.banks[first + command.bank]]
        return self.banks[first : first + size] if command.cmd == "ACT4" else self.banks

    def open(self, command):
        for bank in self.covered(command):
            if bank.row is not None:
                self.fail("pim.open_twice", command, "a bank is open")
            self.need("pim.tRP", command, bank.closed, self.t["tRP"])
            self.need("pim.tRC", command, bank.opened, self.t["tRC"])
            bank.row, bank.opened = command.row, command.cycle
            bank.read = bank.written = None
        if command.cmd == "ACT4":
            if "tFAW" in self.t:
                self.need("pim.tFAW", command, self.opening, self.t["tFAW"])
            self.opening = command.cycle
        if not 0 <= command.row < self.o["rows"]:
            self.fail("pim.range", command, f"row {command.row}")
        self.column = 0

    def close(self, command):
        for bank in self.covered(command):
            if bank.row is None:
                continue
            t = self.t
            self.need("pim.tRAS", command, bank.opened, t["tRAS"])
            self.need("pim.tRTP", command, bank.read, t["tRTP"])
            self.need("pim.tWR", command, bank.written, t["tCWL"] + t["tBL"] + t["tWR"])
            bank.row, bank.closed = None, command.cycle

    def column_command(self, command):
        """Common to what reads or writes a column of all banks."""
        rows = {bank.row for bank in self.covered(command)}
        if None in rows:
            self.fail("pim.closed", command, "a bank is closed")
        elif len(rows) > 1:
            self.fail("pim.rows_differ", command, f"rows {sorted(rows)} are open")
        if not 0 <= command.column < self.o["columns"]:
            self.fail("pim.range", command, f"column {command.column}")

    def multiply(self, command):
        t, half = self.t, command.half
        self.column_command(command)
        for bank in self.banks:
            self.need("pim.tRCDMAC", command, bank.opened, t["tRCDMAC"])
            bank.read = command.cycle
        self.need("pim.tCCDMAC", command, self.mac, t["tCCDMAC"])
        self.need("pim.tRDMAC", command, self.readout, t["tRDMAC"])
        # A row is consumed from its first column on, without gaps: that is what keeping it open is for.
        if command.column != self.column:
            self.fail("pim.column_order", command, f"column {command.column}, not {self.column}")
        self.column = command.column + 1
        if half not in (0, 1) or self.filled[half] is None:
            self.fail("pim.buffer_empty", command, f"half {half} was never written")
        else:
            self.need("pim.buffer_ready", command, self.filled[half], t["tCWL"] + t["tBL"])
            if self.macs >= self.bursts[half]:
                self.fail("pim.vector_length", command, f"no burst {self.macs} in half {half}")
        self.mac = command.cycle
        self.macs += 1

    def fill(self, command):
        half = command.half
        if half not in (0, 1) or not 0 <= command.column < self.o["columns"]:
            self.fail("pim.range", command, f"half {half}, burst {command.column}")
            return
        if command.column == 0:
            self.bursts[half] = 0
        if command.column != self.bursts[half]:
            self.fail("pim.burst_order", command, f"burst {command.column}, not {self.bursts[half]}")
        self.bursts[half] = command.column + 1
        self.filled[half] = command.cycle

    def take(self, command):
        t, now = self.t, command.cycle
        if self.last is not None and now <= self.last:
            self.fail("pim.bus", command, f"the bus is busy until {self.last}")
        self.last = now
        if command.cmd in PIM:
            self.need("pim.tRFC", command, self.refresh, t["tRFC"])
        if command.cmd in WRITES:
            self.need("pim.tCCD", command, self.write, t["tCCD_S"])
            self.need("pim.tRTW", command, self.readout, t["tRTW"])
            self.write = now
        if command.cmd in ("ACT", "ACTAB", "ACT4"):
            self.open(command)
        elif command.cmd in ("PRE", "PREA"):
            self.close(command)
        elif command.cmd == "MACAB":
            self.multiply(command)
        elif command.cmd == "WRGB":
            self.fill(command)
        elif command.cmd == "RDMAC":
            if self.macs == 0:
                self.fail("pim.nothing_to_read", command, "no MAC since the last read-out")
            self.need("pim.tMACRD", command, self.mac, t["tMACRD"])
            self.need("pim.tCCD", command, self.readout, t["tCCD_S"])
            self.need("pim.tWTR", command, self.write, t["tCWL"] + t["tBL"] + t["tWTR_S"])
            self.readout, self.macs = now, 0
        elif command.cmd == "WRAB":
            self.column_command(command)
            for bank in self.banks:
                self.need("pim.tRCDWR", command, bank.opened, t["tRCDWR"])
                bank.written = now
        elif command.cmd == "WR":
            for bank in self.covered(command):
                bank.written = now
        elif command.cmd == "REFA":
            if any(bank.row is not None for bank in self.banks):
                self.fail("pim.refresh_open", command, "a bank is open")
            for bank in self.banks:
                self.need("pim.tRP", command, bank.closed, t["tRP"])
            self.refresh = now
        elif command.cmd not in SINGLE:
            self.fail("pim.range", command, "no such command")


def check(shared, commands, parameters):
    """Violations as (rule, text), and the smallest margin of each distance."""
    found, margins, channels = [], {}, {}
    for command in commands:
        if command.channel not in channels:
            channels[command.channel] = Channel(
                parameters["organization"], parameters["timing"], found, margins
            )
        channels[command.channel].take(command)
    single = [command.base() for command in commands if command.cmd in SINGLE]
    base, _, _ = shared.check(single, parameters)
    found.extend((rule, text) for rule, _, text in base)
    return found, margins


def shifted(commands, at, change):
    """The commands with those from `at` on changed."""
    return commands[:at] + change(copy.deepcopy(commands[at:]))


def mutants(whole, parameters, shared):
    """(name, rule that has to notice, commands, parameters)."""
    without_refresh = [command for command in whole if command.cmd != "REFA"]
    yield "refreshes left out", "tREFI", without_refresh, parameters
    commands = whole[:DAMAGED]
    _, margins = check(shared, commands, parameters)
    for rule, name in TIMED.items():
        if rule in margins:
            tighter = copy.deepcopy(parameters)
            tighter["timing"][name] += margins[rule] + 1
            yield f"{name} longer than kept", rule, commands, tighter

    def first(name, also=lambda index: True):
        places = (i for i, c in enumerate(commands) if i > 50 and c.cmd == name and also(i))
        return next(places, None)

    def without(at):
        return commands[:at] + commands[at + 1 :]

    def with_field(at, field, value):
        def change(rest):
            setattr(rest[0], field, value)
            return rest

        return shifted(commands, at, change)

    inside = first("MACAB", lambda i: commands[i - 1].cmd == "MACAB")
    before = commands[inside - 1].cycle
    in_a_row = first("MACAB", lambda i: commands[i - 1].cmd == commands[i + 1].cmd == "MACAB")
    burst = first("WRGB", lambda i: commands[i + 1].cmd == "WRGB")
    opening = first("ACTAB") or first("ACT4")
    structural = [
        ("a row never opened", "pim.closed", opening and without(opening)),
        ("a row never closed", "pim.open_twice", without(first("PREA"))),
        ("a column skipped", "pim.column_order", in_a_row and without(in_a_row)),
        ("a read-out left out", "pim.vector_length", without(first("RDMAC"))),
        ("a read-out twice", "pim.nothing_to_read", None),
        ("a burst left out", "pim.burst_order", burst and without(burst)),
        ("a half that does not exist", "pim.buffer_empty", with_field(inside, "half", 2)),
        ("a row that does not exist", "pim.range", with_field(opening, "row", 1 << 30)),
        ("two commands at once", "pim.bus", with_field(inside, "cycle", before)),
        ("a refresh of open banks", "pim.refresh_open", with_field(in_a_row, "cmd", "REFA")),
    ]
    for name, rule, damaged in structural:
        if rule == "pim.nothing_to_read":
            at = first("RDMAC")
            again = copy.deepcopy(commands[at])
            again.cycle += 1000
            damaged = commands[: at + 1] + [again]
        if damaged:
            yield name, rule, damaged, parameters


def shared_tool():
    folder = os.environ.get("ATTELIER_SHARED", "")
    path = os.path.join(folder, "tools", "check_dram_commands.py")
    if not os.path.exists(path):
        print(f"{path} not found: set ATTELIER_SHARED", file=sys.stderr)
        sys.exit(2)
    spec = importlib.util.spec_from_file_location("check_dram_commands", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--mutants"]
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    shared = shared_tool()
    with open(arguments[0], encoding="utf-8") as file:
        commands = [Command(line) for line in csv.DictReader(file)]
    with open(arguments[1], encoding="utf-8") as file:
        parameters = json.load(file)
    found, margins = check(shared, commands, parameters)
    for rule, text in found[:5]:
        print(f"{rule}: {text}")
    tight = sorted(rule for rule, margin in margins.items() if margin == 0)
    print(f"{len(commands)} commands, {len(found)} violations; kept to the cycle: {', '.join(tight)}")
    failed = bool(found)
    if "--mutants" in sys.argv:
        caught = total = 0
        for name, rule, damaged, changed in mutants(commands, parameters, shared):
            total += 1
            if any(fired == rule for fired, _ in check(shared, damaged, changed)[0]):
                caught += 1
            else:
                print(f"not noticed: {name} ({rule})")
        print(f"{caught} of {total} mutants caught")
        failed |= caught < total or total == 0
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
