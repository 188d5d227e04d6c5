"use strict";

// Explorations: two numbers of every point against each other, their front as steps, and all that is
// known about a chosen point.

const SVG = "http://www.w3.org/2000/svg";
const ROWS_PER_PAGE = 25;
const PLOT_HEIGHT = 420;
const MARGIN = { left: 76, right: 18, top: 30, bottom: 48 };
/** How near the pointer must be to a point [pixels]. */
const REACH = 14;

/** An element with attributes and children; an SVG element if `space` says so. */
function element(name, attributes = {}, children = [], space = null) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const drawn = (name, attributes, children) => element(name, attributes, children, SVG);

/** The value of a point in a column, whichever of its three forms the column has. */
function reader(column) {
  if (Array.isArray(column)) return (point) => column[point];
  if ("every" in column) return () => column.every;
  return (point) => column.values[column.index[point]];
}

const PREFIXES = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];

/** A number for people, with a prefix where it has a unit. */
function words(value, unit) {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.map((one) => words(one)).join("; ");
  if (typeof value === "object") return JSON.stringify(value);
  if (typeof value !== "number") return String(value);
  if (!unit || value === 0) {
    return Number.isInteger(value) ? value.toLocaleString("en") : value.toPrecision(4) + (unit ? ` ${unit}` : "");
  }
  const [scale, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least * 0.99995) ?? PREFIXES.at(-1);
  return `${(value / scale).toPrecision(4)} ${prefix}${unit}`;
}

/** Round numbers that cover a range. */
function ticks(low, high, count) {
  // Numbers that differ by rounding alone are one number.
  if (!(high - low > 1e-12 * Math.max(Math.abs(low), Math.abs(high)))) return [low];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const marks = [];
  const first = Math.ceil(low / step - 1e-9);
  // Adding zero makes a 0 of -0.
  for (let at = 0; at <= 2 * count + 2 && (first + at) * step <= high + step * 1e-9; at += 1) marks.push((first + at) * step + 0);
  return marks;
}

class Exploration {
  constructor(root, data) {
    this.root = root;
    this.data = data;
    this.find = (selector) => root.querySelector(selector);
    this.columns = new Map();
    for (const [name, column] of Object.entries({ ...data.result, ...data.set, ...data.objectives })) this.columns.set(name, reader(column));
    this.status = reader(data.status);
    this.command = reader(data.command);
    this.reason = reader(data.reason);
    this.own = new Set(data.front);
    this.page = 0;
    this.sorted = { column: 0, sign: 1 };
    this.chosen = null;
    if (!data.chosen) {
      this.find("figcaption").textContent = "No two numbers differ between the points.";
      this.axes = [];
    } else {
      this.prepareAxes();
    }
    this.prepareTable();
    this.update();
    let width = root.clientWidth;
    new ResizeObserver(() => {
      if (root.clientWidth === width) return;
      width = root.clientWidth;
      this.draw();
    }).observe(root);
  }

  value(name, point) {
    return this.columns.get(name)?.(point);
  }

  text(name, value) {
    return words(value, this.data.units[name]);
  }

  prepareAxes() {
    const form = this.find(".axes");
    form.hidden = false;
    for (const [place, axis] of ["x", "y"].entries()) {
      const select = form.elements[axis];
      for (const { name } of this.data.choices) select.append(new Option(name, name));
      select.value = this.data.chosen[place];
      this.guessGoal(axis);
    }
    form.addEventListener("change", (event) => {
      if (event.target.name.length === 1) this.guessGoal(event.target.name);
      this.page = 0;
      this.update();
    });
  }

  guessGoal(axis) {
    const { elements } = this.find(".axes");
    const choice = this.data.choices.find(({ name }) => name === elements[axis].value);
    elements[`${axis}-goal`].value = choice.larger ? "large" : "small";
  }

  /** Reads the axes, finds the points that have both numbers, and their front. */
  update() {
    if (this.data.chosen) {
      const { elements } = this.find(".axes");
      this.axes = ["x", "y"].map((axis) => ({
        name: elements[axis].value,
        sign: elements[`${axis}-goal`].value === "large" ? -1 : 1,
      }));
    }
    this.drawable = [];
    const [x, y] = this.axes;
    for (let point = 0; x && point < this.data.points; point += 1) {
      const [across, up] = [this.value(x.name, point), this.value(y.name, point)];
      if (typeof across === "number" && typeof up === "number") this.drawable.push({ point, across, up });
    }
    this.front = this.steps();
    this.onFront = new Set(this.front.map(({ point }) => point));
    this.draw();
    this.fillTable();
  }

  /** Points that meet all constraints and that no other beats in both numbers, from best to worst across. */
  steps() {
    if (!this.axes.length) return [];
    const [x, y] = this.axes;
    const good = this.drawable.filter(({ point }) => this.status(point) === "ok");
    good.sort((a, b) => x.sign * (a.across - b.across) || y.sign * (a.up - b.up));
    const front = [];
    for (const candidate of good) {
      const last = front.at(-1);
      const equal = last && last.across === candidate.across && last.up === candidate.up;
      if (!last || equal || y.sign * (candidate.up - last.up) < 0) front.push(candidate);
    }
    return front;
  }

  draw() {
    if (!this.axes.length || !this.drawable.length) {
      this.find(".plot").replaceChildren();
      return;
    }
    const [x, y] = this.axes;
    const width = Math.max(this.find(".plot").clientWidth, 240);
    const scale = (values, from, to) => {
      let [low, high] = [Infinity, -Infinity];
      for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
      const room = (high - low) * 0.04 || Math.abs(high) * 0.04 || 1;
      [low, high] = [low - room, high + room];
      return { low, high, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
    };
    const across = scale(this.drawable.map((one) => one.across), MARGIN.left, width - MARGIN.right);
    const up = scale(this.drawable.map((one) => one.up), PLOT_HEIGHT - MARGIN.bottom, MARGIN.top);
    const place = (one) => [across.at(one.across), up.at(one.up)];

    const bottom = PLOT_HEIGHT - MARGIN.bottom;
    const label = `${x.name} across and ${y.name} up of ${this.drawable.length} points; ${this.front.length} on the front`;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${PLOT_HEIGHT}`, height: PLOT_HEIGHT, role: "group", "aria-label": label });
    for (const mark of ticks(across.low, across.high, Math.max(width / 140, 2))) {
      const at = across.at(mark);
      svg.append(drawn("path", { class: "grid", d: `M${at} ${MARGIN.top}V${bottom}` }));
      svg.append(drawn("text", { x: at, y: bottom + 18, "text-anchor": "middle" }, [this.text(x.name, mark)]));
    }
    for (const mark of ticks(up.low, up.high, 6)) {
      const at = up.at(mark);
      svg.append(drawn("path", { class: "grid", d: `M${MARGIN.left} ${at}H${width - MARGIN.right}` }));
      svg.append(drawn("text", { x: MARGIN.left - 8, y: at + 4, "text-anchor": "end" }, [this.text(y.name, mark)]));
    }
    svg.append(drawn("path", { class: "axis", d: `M${MARGIN.left} ${MARGIN.top}V${bottom}H${width - MARGIN.right}` }));
    svg.append(drawn("text", { x: width - MARGIN.right, y: PLOT_HEIGHT - 8, "text-anchor": "end" }, [`${x.name} →`]));
    svg.append(drawn("text", { x: 0, y: 14 }, [`↑ ${y.name}`]));

    // One path for all other points, each pixel once: a hundred thousand elements would not scroll.
    const pixels = new Set();
    for (const one of this.drawable) {
      if (!this.onFront.has(one.point)) pixels.add(place(one).map(Math.round).join(" "));
    }
    svg.append(drawn("path", { class: "others", d: Array.from(pixels, (pixel) => `M${pixel}h0`).join("") }));

    const corners = this.front.map(place).map(([left, top], index) => (index ? `H${left}V${top}` : `M${left} ${top}`));
    svg.append(drawn("path", { class: "steps", d: corners.join("") }));
    for (const one of this.front) {
      const [cx, cy] = place(one);
      const circle = drawn("circle", { cx, cy, r: 5, tabindex: 0, role: "button", "aria-label": this.tip(one) });
      circle.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        this.open(one.point);
      });
      circle.addEventListener("focus", () => {
        const box = circle.getBoundingClientRect();
        showTip(this.tip(one), box.right, box.top);
      });
      circle.addEventListener("blur", () => showTip(""));
      svg.append(circle);
    }
    const chosen = this.drawable.find(({ point }) => point === this.chosen);
    if (chosen) {
      const [cx, cy] = place(chosen);
      svg.append(drawn("circle", { class: "chosen", cx, cy, r: 8 }));
    }

    const nearest = (event) => {
      const box = svg.getBoundingClientRect();
      const [left, top] = [event.clientX - box.left, event.clientY - box.top];
      let [least, found] = [REACH ** 2, null];
      for (const one of this.drawable) {
        const [px, py] = place(one);
        const distance = (px - left) ** 2 + (py - top) ** 2;
        // Of equally near ones a point on the front is the one that was meant.
        if (distance < least || (distance === least && this.onFront.has(one.point))) [least, found] = [distance, one];
      }
      return found;
    };
    svg.addEventListener("pointermove", (event) => {
      const one = nearest(event);
      showTip(one && this.tip(one), event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", () => showTip(""));
    svg.addEventListener("click", (event) => {
      const one = nearest(event);
      if (one) this.open(one.point);
    });
    this.find(".plot").replaceChildren(svg);
    const missing = this.data.points - this.drawable.length;
    this.find("figcaption").textContent =
      `Blue with steps: the ${this.front.length} points that no other beats in both numbers. Grey: the others. ` +
      (missing ? `${missing.toLocaleString("en")} points have no such numbers. ` : "") +
      "Choose a point to see its parameters, results and command.";
  }

  tip({ point, across, up }) {
    const [x, y] = this.axes;
    return `point ${this.data.point[point]}\n${x.name}: ${this.text(x.name, across)}\n${y.name}: ${this.text(y.name, up)}`;
  }

  prepareTable() {
    const form = this.find(".shown");
    form.hidden = false;
    form.addEventListener("change", () => {
      this.page = 0;
      this.fillTable();
    });
    this.find(".pages").addEventListener("click", (event) => {
      const { name } = event.target;
      if (name !== "back" && name !== "on") return;
      this.page += name === "on" ? 1 : -1;
      this.fillTable();
    });
  }

  /** Points in the table, by what the reader wants to see. */
  listed() {
    const wanted = {
      front: (point) => this.onFront.has(point),
      own: (point) => this.own.has(point),
      all: () => true,
      ok: (point) => this.status(point) === "ok",
      other: (point) => this.status(point) !== "ok",
    }[this.find(".shown").elements.shown.value];
    const points = [];
    for (let point = 0; point < this.data.points; point += 1) if (wanted(point)) points.push(point);
    return points;
  }

  fillTable() {
    const axes = this.axes.map(({ name }) => name);
    const set = Object.keys(this.data.set).filter((name) => !axes.includes(name));
    const columns = [
      { name: "point", of: (point) => this.data.point[point] },
      { name: "status", of: (point) => this.status(point) },
      ...[...axes, ...set].map((name) => ({ name, of: (point) => this.value(name, point) })),
    ];
    const { column, sign } = this.sorted;
    const key = columns[Math.min(column, columns.length - 1)].of;
    const points = this.listed().sort((a, b) => compareKeys(key(a), key(b), sign) || a - b);
    const pages = Math.max(Math.ceil(points.length / ROWS_PER_PAGE), 1);
    this.page = Math.min(Math.max(this.page, 0), pages - 1);
    const start = this.page * ROWS_PER_PAGE;
    const shown = points.slice(start, start + ROWS_PER_PAGE);

    const heading = ({ name, of }, place) => {
      const button = element("button", { type: "button" }, [name]);
      const numeric = shown.some((point) => typeof of(point) === "number");
      const head = element("th", { scope: "col", class: numeric ? "number" : "" }, [button]);
      if (place === column) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      button.addEventListener("click", () => {
        this.sorted = { column: place, sign: nextDirection(head) };
        this.page = 0;
        this.fillTable();
        this.find(`thead th:nth-child(${place + 1}) button`).focus();
      });
      return head;
    };
    const row = (point) => {
      const [number, ...others] = columns;
      const button = element("button", { type: "button", "aria-label": `Open point ${number.of(point)}` }, [String(number.of(point))]);
      button.addEventListener("click", () => this.open(point));
      const cells = others.map(({ name, of }) => {
        const value = of(point);
        return element("td", { class: typeof value === "number" ? "number" : "" }, [this.text(name, value)]);
      });
      return element("tr", {}, [element("th", { scope: "row", class: "number" }, [button]), ...cells]);
    };
    const table = element("table", { "aria-label": "Points" }, [
      element("thead", {}, [element("tr", {}, columns.map(heading))]),
      element("tbody", {}, shown.map(row)),
    ]);
    this.find(".scroll").replaceChildren(table);
    const navigation = this.find(".pages");
    navigation.hidden = false;
    navigation.querySelector("span").textContent = points.length
      ? `${start + 1} to ${start + shown.length} of ${points.length.toLocaleString("en")}`
      : "no such point";
    navigation.querySelector("[name=back]").disabled = this.page === 0;
    navigation.querySelector("[name=on]").disabled = this.page === pages - 1;
  }

  /** Shows all that is known about a point. */
  open(point) {
    this.chosen = point;
    const rows = (columns) =>
      Object.keys(columns).map((name) => {
        const value = reader(columns[name])(point);
        return element("div", {}, [element("dt", {}, [name]), element("dd", {}, [this.text(name, value)])]);
      });
    const title = element("h4", { tabindex: -1 }, [`Point ${this.data.point[point]}`]);
    const copyButton = element("button", { type: "button", class: "copy", "aria-label": "Copy: command" }, ["Copy"]);
    const facts = [["status", this.status(point)], ["reason", this.reason(point)]].filter(([, text]) => text);
    const results = Object.fromEntries(
      Object.entries(this.data.result).filter(([, column]) => reader(column)(point) !== null && reader(column)(point) !== undefined),
    );
    const close = element("button", { type: "button" }, ["Close"]);
    close.addEventListener("click", () => {
      this.chosen = null;
      this.find(".point").hidden = true;
      this.draw();
    });
    this.find(".point").replaceChildren(
      title,
      element("p", { class: "command" }, [element("code", {}, [this.command(point)]), " ", copyButton]),
      element("dl", {}, facts.map(([name, text]) => element("div", {}, [element("dt", {}, [name]), element("dd", {}, [text])]))),
      element("h5", {}, ["Parameters"]),
      element("dl", {}, rows(this.data.set)),
      element("h5", {}, ["Results"]),
      element("dl", {}, rows(results)),
      element("p", {}, [close]),
    );
    this.find(".point").hidden = false;
    this.draw();
    title.focus({ preventScroll: true });
    title.scrollIntoView({ block: "nearest" });
  }
}

{
  const { explorations } = JSON.parse(document.getElementById("data").textContent);
  for (const root of document.querySelectorAll(".exploration")) new Exploration(root, explorations[root.dataset.place]);
}
