"""Checks the per-bank refreshes (REFPB) of command traces, beside everything near them.

Usage: check_per_bank_refresh.py FOLDER   (each folder in it: params.json, commands.csv)

Rules, in command clock cycles; an ACT counts from its last cycle, `act_cycles` long:
  bus     one row command per cycle and channel (HBM), one command of any kind (others)
  open    the bank of a REFPB is closed
  tRP     PRE, or the hidden precharge of RDA and WRA, to REFPB of the same bank
  tRC     ACT to REFPB of the same bank
  tRFCpb  REFPB to the next ACT or REFPB of the same bank
  tRREFD  REFPB to the next ACT or REFPB of the same rank; LPDDR5 gives the two apart, tPBR2ACT and tPBR2PBR
  turn    each rank refreshes its banks equally often, to one
  tREFI   at any time a rank is at most nine refreshes behind one per interval, and at most eight ahead

The last rule is tried with no refresh at all, one of four (none, rate) and all at the start (ahead).
Then each rule must object to a trace spoilt on purpose, or the check counts for nothing.
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

LONG_AGO = -(10**9)
MOST_BEHIND, MOST_AHEAD = 9, 8
COLUMN = ("RD", "WR", "RDA", "WRA")


def read(path):
    with open(path) as file:
        rows = list(csv.DictReader(file))
    keys = ("channel", "rank", "bankgroup", "bank")
    return [(int(r["cycle"]), r["cmd"], tuple(int(r[key]) for key in keys)) for r in rows]


def violations(commands, params):
    timing = params["timing"]
    hbm = params["organization"]["rank_means"] == "pseudochannel"
    late = timing.get("act_cycles", 1) - 1
    end_of_write = timing["tCWL"] + timing["tBL"] + timing["tWR"]
    act = defaultdict(lambda: LONG_AGO)
    closed = defaultdict(lambda: LONG_AGO)
    refreshed = defaultdict(lambda: LONG_AGO)
    rank_refreshed = defaultdict(lambda: LONG_AGO)
    busy = defaultdict(lambda: LONG_AGO)
    history = defaultdict(list)
    opened = set()
    found = []

    for cycle, name, bank in commands:
        rank = bank[:2]
        begin = cycle + (late if name == "ACT" else 0)

        def gap(rule, since, distance):
            if begin - since < distance:
                found.append((rule, f"{name} at {cycle}, {begin - since} < {distance} after {since}"))

        bus = (bank[0], hbm and name in COLUMN)
        gap("bus", busy[bus], 1 if name != "ACT" else 1 + late)
        busy[bus] = begin
        if name in ("ACT", "REFPB"):
            gap("tRFCpb", refreshed[bank], timing["tRFCpb"])
            apart = timing.get("tPBR2ACT" if name == "ACT" else "tPBR2PBR", timing.get("tRREFD"))
            gap("tRREFD", rank_refreshed[rank], apart)
        if name == "ACT":
            act[bank] = begin
            opened.add(bank)
        elif name == "PRE":
            closed[bank] = cycle
            opened.discard(bank)
        elif name in ("RDA", "WRA"):
            hidden = cycle + (timing["tRTP"] if name == "RDA" else end_of_write)
            closed[bank] = max(act[bank] + timing["tRAS"], hidden)
            opened.discard(bank)
        elif name == "REFPB":
            if bank in opened:
                found.append(("open", f"REFPB at {cycle} to the open bank {bank}"))
            gap("tRP", closed[bank], timing["tRP"])
            gap("tRC", act[bank], timing["tRC"])
            refreshed[bank] = rank_refreshed[rank] = cycle
            history[rank].append((cycle, bank))

    interval = params["refresh"]["interval_cycles"]
    organization = params["organization"]
    banks = organization["bankgroups"] * organization["banks_per_group"]
    last = commands[-1][0] if commands else 0

    def behind(missing, rank, cycle):
        if missing > MOST_BEHIND:
            found.append(("tREFI", f"rank {rank}: {missing} refreshes missing at {cycle}"))

    for channel in range(organization["channels"]):
        for rank in range(organization["ranks"]):
            seen = history[(channel, rank)]
            counts = Counter(bank for _, bank in seen)
            least = min(counts.values()) if len(counts) == banks else 0
            if counts and max(counts.values()) - least > 1:
                found.append(("turn", f"rank {rank}: {sorted(counts.values())}"))
            # Just before each refresh the rank is furthest behind, just after it furthest ahead.
            for done, (cycle, _) in enumerate(seen):
                behind(cycle // interval - done, rank, cycle)
                if done + 1 - cycle // interval > MOST_AHEAD:
                    found.append(("tREFI", f"rank {rank}: {done + 1} refreshes by {cycle}"))
            behind(last // interval - len(seen), rank, last)
    return found


def spoilt(commands, params):
    """Traces with one thing wrong each, under the rule that must object."""
    refreshes = [at for at, (_, name, _) in enumerate(commands) if name == "REFPB"]
    middle = refreshes[len(refreshes) // 2]
    cycle, name, bank = commands[middle]

    def moved(at, to):
        rest = commands[:at] + commands[at + 1 :]
        return sorted([*rest, (to, *commands[at][1:])], key=lambda command: command[0])

    def behind(kinds, same):
        """The first command of these kinds after the refresh."""
        after = range(middle + 1, len(commands))
        return next((a for a in after if commands[a][1] in kinds and same(commands[a][2])), None)

    yield "bus", [*commands[: middle + 1], (cycle, "PRE", bank), *commands[middle + 1 :]]
    act = behind(("ACT",), lambda other: other == bank)
    if act is not None:
        late = params["timing"].get("act_cycles", 1) - 1
        yield "tRFCpb", moved(act, cycle + params["timing"]["tRFCpb"] - 1 - late)
        yield "open", moved(middle, commands[act][0] + late + 1)
        yield "tRC", moved(middle, commands[act][0] + late + 1)
    close = [a for a in range(middle) if commands[a][1:] == ("PRE", bank)]
    if close:
        yield "tRP", moved(middle, commands[close[-1]][0] + params["timing"]["tRP"] - 1)
    yield "tRREFD", [*commands[: middle + 1], (cycle + 2, "REFPB", (*bank[:3], bank[3] ^ 1)),
                     *commands[middle + 1 :]]
    gone = set(refreshes)
    yield "none", [command for at, command in enumerate(commands) if at not in gone]
    # One refresh of four is there, evenly spread: the rate is wrong although no gap is long.
    kept = {at for channel_rank in {commands[at][2][:2] for at in refreshes}
            for at in [at for at in refreshes if commands[at][2][:2] == channel_rank][::4]}
    yield "rate", [command for at, command in enumerate(commands) if at not in gone - kept]
    # All refreshes at once: the count is right, the spread is not.
    start = commands[0][0]
    early = [(start, *commands[at][1:]) for at in refreshes]
    yield "ahead", [*early, *(command for at, command in enumerate(commands) if at not in gone)]
    once = [at for at in refreshes if commands[at][2] == bank]
    yield "turn", [command for at, command in enumerate(commands) if at not in set(once[:2])]


def main():
    folders = sorted(path.parent for path in Path(sys.argv[1]).glob("*/params.json"))
    refreshes, bad, caught = 0, 0, Counter()
    for folder in folders:
        params = json.loads((folder / "params.json").read_text())
        commands = read(folder / "commands.csv")
        refreshes += sum(name == "REFPB" for _, name, _ in commands)
        found = violations(commands, params)
        for rule, text in found[:5]:
            print(f"{folder.name}: {rule}: {text}")
        bad += bool(found)
        for kind, wrong in spoilt(commands, params):
            rule = "tREFI" if kind in ("none", "rate", "ahead") else kind
            caught[kind] += any(name == rule for name, _ in violations(wrong, params))
    print("spoilt traces caught:", ", ".join(f"{rule} {count}" for rule, count in caught.items()))
    rules = ("bus", "open", "tRP", "tRC", "tRFCpb", "tRREFD", "turn", "none", "rate", "ahead")
    blind = [rule for rule in rules if not caught[rule]]
    if blind:
        print("rules that never objected:", ", ".join(blind))
    legal = len(folders) - bad
    print(f"{legal} of {len(folders)} traces legal, {refreshes} per-bank refreshes")
    sys.exit(bool(bad or blind or not folders))


main()
