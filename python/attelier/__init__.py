"""A workshop for attention accelerators: simulate, explore, read traces.

Results are plain dictionaries, as the command line writes them with ``--json``; tables are dictionaries of
NumPy arrays, one per column. Bad input is a ``ValueError`` that says what was expected.
"""

import json
import os

import numpy

from . import _attelier
from ._attelier import __version__

__all__ = ["__version__", "explore", "run", "trace"]


def run(design="spatten", workload=None, *, set=None, seed=0):
    """Simulates a workload on a design, as ``attelier run`` does.

    ``set`` maps parameters and knobs to values: ``{"memory.kind": "ideal", "workload.tokens": 1}``.
    """
    return json.loads(_attelier.run(design, _path(workload), _assignments(set), seed))


def explore(spec, *, seed=0, cache=None, jobs=None):
    """Simulates the points of a design space, as ``attelier explore`` does.

    ``spec`` is the description: its text, or the path of a TOML file. The result has ``columns``, arrays of the
    point's number, its values on the axes, its objectives (NaN without a result), its ``status`` and whether it is
    on the Pareto ``front``; and ``results``, a dictionary or ``None`` for each point.
    """
    if isinstance(spec, os.PathLike) or "\n" not in spec:
        name = os.fspath(spec)
        with open(name, encoding="utf-8") as file:
            text = file.read()
    else:
        name, text = "spec", spec
    jobs = jobs or os.cpu_count() or 1
    lines = _attelier.explore_points(name, text, seed, _path(cache), jobs)
    points = [json.loads(line) for line in lines.splitlines()]
    columns = {"point": numpy.array([point["point"] for point in points])}
    for axis in points[0]["set"]:
        columns[axis] = numpy.array([_value(point["set"][axis]) for point in points])
    names = next((point["objectives"] for point in points if point["objectives"]), {})
    for name in names:
        if name not in columns:
            columns[name] = numpy.array([_objective(point, name) for point in points])
    columns["status"] = numpy.array([point["status"] for point in points])
    columns["front"] = numpy.array([point["front"] for point in points])
    return {"columns": columns, "results": [point["result"] for point in points]}


def trace(workload, *, set=None, seed=0):
    """The attention requests of a preset or a trace file, an array for each field of the trace format.

    A field that a request leaves out is -1 among numbers and false among flags.
    """
    lines = _attelier.trace(_path(workload), _assignments(set), seed)
    requests = [json.loads(line) for line in lines.splitlines()]
    names = dict.fromkeys(name for request in requests for name in request)
    columns = {}
    for name in names:
        known = next(request[name] for request in requests if name in request)
        absent = False if isinstance(known, bool) else "" if isinstance(known, str) else -1
        columns[name] = numpy.array([request.get(name, absent) for request in requests])
    return columns


def _objective(point, name):
    goal = point["objectives"].get(name)
    if not goal:
        return float("nan")
    (value,) = goal.values()
    return float(value)


def _value(text):
    """A value on an axis: a number or a flag, or else the text itself."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def _path(name):
    return None if name is None else os.fspath(name)


def _assignments(values):
    def text(value):
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    return [f"{path}={text(value)}" for path, value in (values or {}).items()]
