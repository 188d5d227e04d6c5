"""The whole SpAtten machine under Icarus, driven by bus models that know nothing of it.

    python spatten_axi.py FOLDER

FOLDER holds the Verilog of `attelier rtl spatten-small/spatten` and `requests.json`:

    channels, fields: numbers
    jobs: [[value of each job field, in the order of the registers]]
    queries: [one word per element, in the order of the jobs]
    memory: [[byte address, bytes in hexadecimal]]
    results: {identifier: [words]}

Jobs are written over AXI4-Lite, queries come and results leave on AXI4-Stream, every memory channel
is an AXI4 slave; all of them pause at random. Prints one line that starts with `PASS`.
"""

import itertools
import json
import logging
import os
import random
import sys
from pathlib import Path

WORD_BITS = 16
FIRST_FIELD = 1
IDLE = 1
# Cycles after which a machine that still works has failed.
LIMIT = 40_000


def unsigned(words):
    return [word & ((1 << WORD_BITS) - 1) for word in words]


def pauses(seed, share):
    """Runs of cycles in which an end does nothing."""
    generator = random.Random(seed)
    while True:
        pause = generator.random() < share
        yield from itertools.repeat(pause, generator.randint(1, 20))


class Channel:
    """Counts the transfers of a channel that the machine drives, and holds it to the protocol: an
    offer is neither taken back nor changed before it is accepted."""

    def __init__(self, dut, valid, ready, payload):
        self.name = valid
        self.valid, self.ready = getattr(dut, valid), getattr(dut, ready)
        self.payload = [getattr(dut, name) for name in payload]
        self.transfers = self.waits = 0
        self.faults = []
        self.waiting = None

    def sample(self):
        if not self.valid.value.is_resolvable or not self.ready.value.is_resolvable:
            self.faults.append(f"{self.name} is undefined")
            return
        valid, ready = bool(self.valid.value), bool(self.ready.value)
        shown = [str(signal.value) for signal in self.payload] if valid else None
        if valid and any(set(bits) - set("01") for bits in shown):
            self.faults.append(f"the payload of {self.name} is undefined")
        if self.waiting is not None and shown != self.waiting:
            self.faults.append(f"{self.name} changed its offer")
        self.transfers += valid and ready
        self.waits += valid and not ready
        self.waiting = shown if valid and not ready else None


def channels_of(dut, count):
    found = [
        Channel(dut, "m_axis_result_tvalid", "m_axis_result_tready",
                ["m_axis_result_tdata", "m_axis_result_tid", "m_axis_result_tlast"]),
        Channel(dut, "s_axi_bvalid", "s_axi_bready", ["s_axi_bresp"]),
        Channel(dut, "s_axi_rvalid", "s_axi_rready", ["s_axi_rdata", "s_axi_rresp"]),
    ]
    for at in range(count):
        port = f"m_axi_{at}_ar"
        names = ["id", "addr", "len", "size", "burst"]
        found.append(Channel(dut, port + "valid", port + "ready", [port + name for name in names]))
    return found


def machine_test():
    import cocotb
    from cocotb.clock import Clock
    from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, with_timeout
    from cocotbext.axi import (
        AxiLiteBus,
        AxiLiteMaster,
        AxiReadBus,
        AxiSlaveRead,
        AxiStreamBus,
        AxiStreamFrame,
        AxiStreamSink,
        AxiStreamSource,
        SparseMemoryRegion,
    )

    @cocotb.test()
    async def outputs_equal(dut):
        logging.getLogger("cocotb").setLevel(logging.WARNING)
        requests = json.loads(Path(os.environ["REQUESTS"]).read_text())
        dut.rst.value = 1
        clocked = dut.clk, dut.rst
        memory = SparseMemoryRegion(1 << 32)
        for address, data in requests["memory"]:
            await memory.write(address, bytes.fromhex(data))
        for at in range(requests["channels"]):
            bus = AxiReadBus.from_prefix(dut, f"m_axi_{at}")
            slave = AxiSlaveRead(bus, *clocked, target=memory)
            slave.ar_channel.set_pause_generator(pauses(10 + at, 0.3))
            slave.r_channel.set_pause_generator(pauses(20 + at, 0.3))
        control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), *clocked)
        control.write_if.b_channel.set_pause_generator(pauses(30, 0.3))
        control.read_if.r_channel.set_pause_generator(pauses(31, 0.3))
        source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_query"), *clocked,
                                 byte_size=WORD_BITS)
        sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_result"), *clocked,
                             byte_size=WORD_BITS)
        source.set_pause_generator(pauses(40, 0.5))
        sink.set_pause_generator(pauses(41, 0.7))

        cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        await RisingEdge(dut.clk)
        watched = channels_of(dut, requests["channels"])

        async def watch():
            while True:
                # Everything has settled that the next rising edge will see.
                await FallingEdge(dut.clk)
                for channel in watched:
                    channel.sample()
                    assert not channel.faults, channel.faults

        cocotb.start_soon(watch())

        submit = FIRST_FIELD + requests["fields"]
        jobs, queries = requests["jobs"], requests["queries"]
        results = {}

        async def collect():
            while len(results) < len(jobs):
                frame = await sink.recv()
                assert frame.tid not in results, f"result {frame.tid} came twice"
                results[frame.tid] = list(frame.tdata)

        async def supply():
            for query in queries:
                await source.send(AxiStreamFrame(unsigned(query)))
            await control.write_dword(0, 1)
            for fields in jobs:
                # A job is queued only where there is a place for it.
                while (await control.read_dword(4 * (submit + 2))) >> 16 >= 60:
                    await ClockCycles(dut.clk, 50)
                for at, value in enumerate(fields):
                    await control.write_dword(4 * (FIRST_FIELD + at), value)
                await control.write_dword(4 * submit, 0)

        cocotb.start_soon(supply())
        await with_timeout(cocotb.start_soon(collect()), 10 * LIMIT, "ns")
        await ClockCycles(dut.clk, 20)
        assert await control.read_dword(4 * (submit + 1)) == len(jobs)
        assert await control.read_dword(4 * (submit + 2)) == IDLE
        expected = {int(number): unsigned(words) for number, words in requests["results"].items()}
        wrong = [number for number in expected if results.get(number) != expected[number]]
        assert not wrong and len(results) == len(expected), f"other results of jobs {wrong}"
        assert all(channel.transfers for channel in watched)
        counts = ", ".join(f"{c.name} {c.transfers} ({c.waits} waits)" for c in watched)
        Path(os.environ["SUMMARY"]).write_text(f"{len(jobs)} results; {counts}\n")

    return outputs_equal


def main(folder):
    from cocotb_tools.runner import get_runner

    folder = Path(folder).resolve()
    files = [folder / name for name in (folder / "files.f").read_text().split()]
    runner = get_runner("icarus")
    runner.build(sources=files, hdl_toplevel="spatten", build_dir=folder / "build", always=True,
                 build_args=["-g2005"], timescale=("1ns", "1ps"))
    summary = folder / "summary"
    environment = {
        "REQUESTS": str(folder / "requests.json"),
        "SUMMARY": str(summary),
        "COCOTB_RANDOM_SEED": "1",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).resolve().parent), *sys.path]),
    }
    results = runner.test(hdl_toplevel="spatten", test_module="spatten_axi",
                          build_dir=folder / "build", extra_env=environment)
    text = results.read_text()
    if "<failure" in text or "<error" in text or not summary.exists():
        sys.exit(text)
    print("PASS", summary.read_text(), end="")


if __name__ == "__main__":
    main(sys.argv[1])
else:
    outputs_equal = machine_test()
