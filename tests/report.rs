//! `attelier report`: the page holds its inputs, escapes what they say, works in a real browser at the
//! widths of a desk and of a phone, and what is no result is refused.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path, sync::OnceLock};

use common::{
    attelier,
    chromium::{Screen, look, visit},
    is_empty, stderr,
};
use serde_json::{Value, json};

const DESK: Screen = Screen { width: 1280, dark: false };
const PHONE: Screen = Screen { width: 390, dark: false };

/// A small space: 3 x 2 points of two objectives, and one parallelism that is refused.
const SPACE: &str = r#"
design = "spatten-small"
set = ["workload.tokens=1"]
objectives = [{ min = "cycles" }, { min = "key_sram.bytes" }]
[[axis]]
path = "topk_value.parallelism"
values = [1, 2, 4]
[[axis]]
paths = ["key_sram.bytes", "value_sram.bytes"]
values = [6144, 3072, 3073]
"#;

/// Results of real commands, made once.
struct Results {
    folder: tempfile::TempDir,
}

impl Results {
    fn get() -> &'static Self {
        static RESULTS: OnceLock<Results> = OnceLock::new();
        RESULTS.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path();
            fs::write(path.join("space.toml"), SPACE).unwrap();
            let small = ["--set", "workload.tokens=1"];
            let wide = ["--set", "topk_value.parallelism=8"];
            let run = ["run", "spatten-small", "--json", "run.json", "--perfetto", "busy.json"];
            attelier(path, &[&run[..], &small, &wide].concat()).code(0);
            attelier(
                path,
                &[&["run", "spatten-small", "--json", "other.json"], &small[..]].concat(),
            )
            .code(0);
            attelier(path, &["explore", "space.toml", "-o", "sweep", "--json", "sweep.json"])
                .code(0);
            attelier(path, &["show", "spatten-small", "--json", "show.json"]).code(0);
            let cosim = ["cosim", "zero_eliminator", "--with", "native", "--beats", "200"];
            attelier(path, &[&cosim[..], &["--json", "cosim.json"]].concat()).code(0);
            for (name, content) in [
                ("synth.json", synth()),
                ("reproduce.json", reproduce()),
                ("fidelity.json", fidelity()),
            ] {
                fs::write(path.join(name), content.to_string()).unwrap();
            }
            Self { folder }
        })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path().join(name)).unwrap()).unwrap()
    }
}

fn synth() -> Value {
    let estimate = json!({"lut": 90, "lutram": 0, "ff": 10, "dsp": 0, "bram": 0, "uram": 0, "levels": 3.0,
                          "ns": 2.5, "fmax_mhz": 400.0});
    let row = json!({"unit": "lfsr", "parameters": "16 bits", "lut": 100, "lutram": 0, "carry4": 0, "ff": 16,
                     "dsp": 0, "bram": 0, "uram": 0, "estimate": estimate});
    json!({"schema": "attelier-synth-1", "version": "0.1.0", "command": "attelier synth lfsr",
           "design": "spatten", "config_hash": "00", "tool": "Yosys 0.23", "rows": [row]})
}

fn reproduce() -> Value {
    let row = |item: &str, published: f64, ours: f64| {
        json!({"paper": "SpAtten, HPCA 2021", "item": item, "published": published, "ours": ours,
               "unit": "GOP/s", "deviation": ours / published - 1.0, "verdict": "off", "note": "a run"})
    };
    json!({"schema": "attelier-reproduce-1", "version": "0.1.0", "command": "attelier reproduce", "seed": 0,
           "rows": [row("b", 100.0, 50.0), row("a", 10.0, 25.0), row("c", 8.0, 8.0)], "notes": ["honest"]})
}

fn fidelity() -> Value {
    let row = |point: &str, cycles: u64, cosine: f64| {
        json!({"sweep": "tokens", "point": point, "cycles": cycles, "dram_bytes": cycles * 8,
               "energy_j": 1e-6, "flat_share": 0.1, "mismatches": 0, "output_cosine": cosine,
               "embedding_cosine_mean": null})
    };
    json!({"schema": "attelier-fidelity-1", "version": "0.1.0", "command": "attelier fidelity spatten m",
           "design": "spatten", "model": "m", "inputs": 1, "tokens": 9, "published_lsb_share": 0.059,
           "rows": [row("1.0", 1000, 1.0), row("0.5", 600, 0.97)], "notes": []})
}

/// The page of results in the folder of all.
fn page(results: &[&str]) -> String {
    page_in(Results::get().path(), results)
}

fn page_in(folder: &Path, results: &[&str]) -> String {
    let output = tempfile::tempdir().unwrap();
    let output = output.path().join("page.html");
    let arguments = [&["report", "-o", output.to_str().unwrap()], results].concat();
    attelier(folder, &arguments).code(0);
    fs::read_to_string(output).unwrap()
}

/// The data of a page, as a parser of HTML finds it: from the start tag to the first end tag.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script").unwrap().0).unwrap()
}

const ALL: [&str; 8] = [
    "run.json",
    "busy.json",
    "sweep",
    "cosim.json",
    "synth.json",
    "reproduce.json",
    "fidelity.json",
    "show.json",
];

#[test]
fn the_page_holds_its_documents() {
    let names =
        ["run.json", "cosim.json", "synth.json", "reproduce.json", "fidelity.json", "show.json"];
    let data = data(&page(&names));
    let held = data["documents"].as_array().unwrap();
    assert_eq!(held.len(), names.len());
    for (document, name) in held.iter().zip(names) {
        assert_eq!(document["file"], name);
        assert_eq!(document["content"], Results::get().json(name), "{name}");
    }
}

/// The value of a point in a compact column.
fn expand(column: &Value, point: usize) -> &Value {
    match (column, column.get("every")) {
        (Value::Array(values), _) => &values[point],
        (_, Some(value)) => value,
        _ => &column["values"][usize::try_from(column["index"][point].as_u64().unwrap()).unwrap()],
    }
}

#[test]
fn the_page_holds_every_value_of_every_point() {
    let text = fs::read_to_string(Results::get().path().join("sweep/points.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for source in ["sweep", "sweep/points.jsonl", "sweep.json"] {
        let data = data(&page(&[source]));
        let held = &data["explorations"][0];
        assert_eq!(held["points"], rows.len());
        let mut values = 0;
        for (point, row) in rows.iter().enumerate() {
            assert_eq!(held["point"][point], row["point"]);
            for name in ["status", "reason", "command"] {
                assert_eq!(expand(&held[name], point), &row[name]);
            }
            for (name, value) in row["set"].as_object().unwrap() {
                assert_eq!(expand(&held["set"][name], point).to_string(), *value.as_str().unwrap());
            }
            for (path, column) in held["result"].as_object().unwrap() {
                let pointer = format!("/result/{}", path.replace('.', "/"));
                // What one point has parts of and another lacks is a column of its own for each part.
                let has_parts =
                    |value: &Value| value.as_object().is_some_and(|parts| !parts.is_empty());
                let whole = row.pointer(&pointer).filter(|value| !has_parts(value));
                let value = whole.unwrap_or(&Value::Null);
                assert_eq!(expand(column, point), value, "{path} of point {point}");
                values += usize::from(!value.is_null());
            }
        }
        let leaves: usize = rows.iter().map(|row| leaves(&row["result"])).sum();
        assert_eq!(values, leaves, "no value was left out");
        let front: Vec<_> = (0..rows.len()).filter(|point| rows[*point]["front"] == true).collect();
        assert_eq!(held["front"], json!(front));
        assert_eq!(held["chosen"], json!(["cycles", "key_sram.bytes"]));
    }
}

/// Values in a result that are not `null`.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Object(inner) if !inner.is_empty() => inner.values().map(leaves).sum(),
        _ => 1,
    }
}

#[test]
fn the_same_results_give_the_same_bytes() {
    assert_eq!(page(&ALL), page(&ALL));
}

#[test]
fn the_page_names_no_address_but_that_of_svg() {
    let page = page(&ALL).replace("\"http://www.w3.org/2000/svg\"", "");
    for foreign in
        ["http:", "https:", "//cdn", "@import", "url(", "<img", "<link rel=\"style", " src="]
    {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn parameters_come_with_units_and_sources() {
    let alone = page(&["run.json"]);
    assert!(
        alone.contains("topk_value.parallelism</th><td class=\"number\" data-key=\"8\">8</td>")
    );
    assert!(alone.contains("--set topk_value.parallelism=8"), "where the change comes from");
}

/// A run whose texts try to be markup.
fn hostile(folder: &Path) {
    let mut run = Results::get().json("run.json");
    run["workload"] = "<script>faults.push('workload')</script>".into();
    run["command"] = "attelier run '\"><img src=x onerror=faults.push(1)>'".into();
    run["notes"] = json!(["</script><script>faults.push('note')</script><!--", "a & b &amp; c"]);
    run["units"]["<b onclick='x'>\"unit"] = run["units"]["softmax"].clone();
    fs::write(folder.join("run.json"), run.to_string()).unwrap();
    let point = json!({"point": 0, "set": {"a<b>": "</script>"}, "status": "ok", "reason": null, "front": true,
                       "command": "<img src=x>", "result": {"cycles": 3, "notes": ["<script>"]}});
    let other = json!({"point": 1, "set": {"a<b>": "1"}, "status": "ok", "reason": null, "front": false,
                       "command": "c", "result": {"cycles": 4, "energy_j": {"total": 1.0}}});
    fs::write(folder.join("points.jsonl"), format!("{point}\n{other}\n")).unwrap();
}

#[test]
fn text_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    hostile(folder.path());
    let page = page_in(folder.path(), &["run.json", "points.jsonl"]);
    let held: Value =
        serde_json::from_slice(&fs::read(folder.path().join("run.json")).unwrap()).unwrap();
    assert_eq!(data(&page)["documents"][0]["content"], held);
    let script = r#"
        for (const button of all(".exploration tbody button")) button.click();
        return { titles: texts("h2"), notes: texts(".notes li").slice(-2), scripts: all("script").length,
                 images: all("img").length, units: texts("th[scope=row]"), commands: texts(".point code") };
    "#;
    let Some(seen) = visit(&page, DESK, script) else { return };
    assert_eq!(seen["titles"][0], "spatten-small on <script>faults.push('workload')</script>");
    assert_eq!(seen["notes"], held["notes"]);
    // Two of the page, two of this test.
    assert_eq!((&seen["scripts"], &seen["images"]), (&json!(4), &json!(0)));
    assert!(seen["units"].as_array().unwrap().contains(&json!("<b onclick='x'>\"unit")));
}

#[test]
fn a_click_on_a_heading_sorts() {
    let script = r#"
        const table = document.querySelector("table.sortable");
        const heads = all("th[scope=col]", table);
        const column = (name) => heads.find((head) => head.textContent === name);
        const items = () => all("tbody tr", table).map((row) => row.cells[0].textContent);
        const seen = { first: items(), sorts: [] };
        for (const name of ["number", "number", "published", "published", "deviation"]) {
            column(name).querySelector("button").click();
            seen.sorts.push([name, items().join(""), column(name).getAttribute("aria-sort")]);
        }
        seen.marked = heads.filter((head) => head.hasAttribute("aria-sort")).map((head) => head.textContent);
        return seen;
    "#;
    let Some(seen) = visit(&page(&["reproduce.json"]), DESK, script) else { return };
    assert_eq!(seen["first"], json!(["b", "a", "c"]));
    assert_eq!(
        seen["sorts"],
        json!([
            ["number", "abc", "ascending"],
            ["number", "cba", "descending"],
            ["published", "bac", "descending"],
            ["published", "cab", "ascending"],
            ["deviation", "acb", "descending"]
        ])
    );
    assert_eq!(seen["marked"], json!(["deviation"]));
}

#[test]
fn bars_have_the_length_of_their_values_and_tell_them() {
    let script = r#"
        const part = (name) => all("h3").find((title) => title.textContent === name).parentElement;
        const bars = all("rect[data-tip]", part("Energy"));
        bars[0].scrollIntoView();
        point(bars[0], "pointermove");
        const tip = document.getElementById("tip");
        const seen = { tip: tip.hidden ? null : tip.textContent,
                       widths: bars.map((bar) => Number(bar.getAttribute("width"))),
                       drawn: bars.map((bar) => bar.getBoundingClientRect().width),
                       terms: texts("tbody th", part("Energy")) };
        point(document.querySelector("h1"), "pointermove");
        seen.gone = tip.hidden;
        return seen;
    "#;
    let Some(seen) = visit(&page(&["run.json"]), DESK, script) else { return };
    let energy = Results::get().json("run.json")["energy_j"].clone();
    let mut terms: Vec<(&str, f64)> = energy
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "total")
        .map(|(name, joules)| (name.as_str(), joules.as_f64().unwrap()))
        .collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1));
    assert_eq!(seen["terms"].as_array().unwrap().len(), terms.len());
    let drawn = |place: usize| seen["drawn"][place].as_f64().unwrap();
    for (place, (name, joules)) in terms.iter().enumerate() {
        assert_eq!(seen["terms"][place], **name);
        let share = joules / terms[0].1;
        let width = seen["widths"][place].as_f64().unwrap();
        assert!((width - share * 100.0).abs() < 1e-3, "{name}: {width}");
        assert!((drawn(place) / drawn(0) - share).abs() < 1e-2, "{name}");
    }
    assert!(seen["tip"].as_str().unwrap().starts_with(&format!("{}: ", terms[0].0)), "{seen:#}");
    assert_eq!(seen["gone"], true);
}

#[test]
fn a_timeline_tells_what_a_unit_did() {
    let script = r#"
        const row = all(".timeline tbody tr").find((row) => row.textContent.startsWith("qk_array"));
        const drawing = row.querySelector("svg");
        const target = drawing.querySelector("[data-tip]") ?? drawing;
        target.scrollIntoView();
        point(target, "pointermove");
        return { tip: document.getElementById("tip").textContent, units: texts(".timeline tbody th"),
                 ticks: texts(".ticks span") };
    "#;
    let Some(seen) = visit(&page(&["busy.json"]), DESK, script) else { return };
    assert!(seen["tip"].as_str().unwrap().starts_with("qk_array: "), "{seen:#}");
    assert_eq!(seen["ticks"].as_array().unwrap().len(), 5);
    let units = seen["units"].as_array().unwrap();
    assert!(units.contains(&json!("softmax")), "{units:?}");
}

#[test]
fn a_point_opens_its_parameters_results_and_command() {
    let script = r#"
        const root = document.querySelector(".exploration");
        const front = all("circle[role=button]", root);
        const seen = { labels: front.map((one) => one.getAttribute("aria-label")),
                       places: front.map((one) => ["cx", "cy"].map((name) => Number(one.getAttribute(name)))),
                       steps: root.querySelector(".steps").getAttribute("d") };
        const svg = root.querySelector(".plot svg");
        svg.scrollIntoView();
        const box = front[0].getBoundingClientRect();
        point(svg, "pointermove", box.left + box.width / 2, box.top + box.height / 2);
        seen.tip = document.getElementById("tip").textContent;
        point(svg, "click", box.left + box.width / 2, box.top + box.height / 2);
        const panel = root.querySelector(".point");
        const open = () => ({ hidden: panel.hidden, title: panel.querySelector("h4").textContent,
            command: panel.querySelector("code").textContent, names: texts("dt", panel),
            values: texts("dd", panel), focused: panel.contains(document.activeElement) });
        seen.pointer = open();
        const enter = new KeyboardEvent("keydown", { key: "Enter", bubbles: true });
        all("circle[role=button]", root)[1].dispatchEvent(enter);
        seen.keyboard = open();
        return seen;
    "#;
    let Some(seen) = visit(&page(&["sweep"]), DESK, script) else { return };
    let text = fs::read_to_string(Results::get().path().join("sweep/points.jsonl")).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for opened in [&seen["pointer"], &seen["keyboard"]] {
        let number = opened["title"].as_str().unwrap().strip_prefix("Point ").unwrap();
        let row = &rows[number.parse::<usize>().unwrap()];
        assert_eq!(row["front"], true);
        assert_eq!((&opened["command"], &opened["hidden"]), (&row["command"], &json!(false)));
        let names = opened["names"].as_array().unwrap();
        for name in ["topk_value.parallelism", "cycles", "energy_j.total", "units.softmax.beats"] {
            assert!(names.contains(&json!(name)), "{name} in {names:?}");
        }
        let place = names.iter().position(|name| name == "units.softmax.beats").unwrap();
        let digits = opened["values"][place].as_str().unwrap().replace(',', "");
        assert_eq!(digits, row["result"]["units"]["softmax"]["beats"].to_string());
        assert_eq!(opened["focused"], true);
    }
    assert_ne!(seen["pointer"]["title"], seen["keyboard"]["title"]);
    // The best point across is the first: fewer cycles are further left, more bytes further up.
    let mut best: Vec<(u64, u64, u64)> = rows
        .iter()
        .filter(|row| row["front"] == true)
        .map(|row| {
            let bytes = row["set"]["key_sram.bytes"].as_str().unwrap().parse().unwrap();
            (row["result"]["cycles"].as_u64().unwrap(), bytes, row["point"].as_u64().unwrap())
        })
        .collect();
    best.sort_unstable();
    let labels: Vec<String> = best
        .iter()
        .map(|(cycles, bytes, point)| {
            let [cycles, bytes] = [cycles, bytes].map(|number| attelier::table::grouped(*number));
            format!("point {point}\ncycles: {cycles}\nkey_sram.bytes: {bytes}")
        })
        .collect();
    assert_eq!(seen["labels"], json!(labels));
    assert_eq!(seen["tip"], json!(labels[0]));
    let place = |point: usize, axis: usize| seen["places"][point][axis].as_f64().unwrap();
    for point in 1..best.len() {
        assert!(place(point, 0) > place(point - 1, 0) && place(point, 1) > place(point - 1, 1));
    }
    let steps = seen["steps"].as_str().unwrap();
    assert_eq!(steps.matches('H').count() + 1, seen["labels"].as_array().unwrap().len());
}

/// 100,000 points on a curve that only every 1000th reaches.
fn many() -> (tempfile::TempDir, usize) {
    const POINTS: usize = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for point in 0..POINTS {
        let best = point % 1000 == 0;
        let [cycles, bytes] =
            [1_000 + point, 1_000_000 - point].map(|n| n + usize::from(!best) * 200_000);
        let result = json!({"design": "d", "cycles": cycles, "traffic": {"total_bytes": bytes},
                            "power_w": 1.0 + point as f64 / 7.0});
        let row = json!({"point": point, "set": {"n": point.to_string()}, "status": "ok", "reason": null,
                         "front": best, "command": format!("attelier run d --set n={point}"), "result": result});
        text += &row.to_string();
        text.push('\n');
    }
    fs::write(folder.path().join("points.jsonl"), text).unwrap();
    (folder, POINTS / 1000)
}

#[test]
fn a_hundred_thousand_points_open() {
    let (folder, best) = many();
    let page = page_in(folder.path(), &["points.jsonl"]);
    assert!(page.len() < 20 << 20, "{} bytes", page.len());
    let script = r#"
        const root = document.querySelector(".exploration");
        const form = root.querySelector(".shown");
        form.elements.shown.value = "all";
        form.dispatchEvent(new Event("change", { bubbles: true }));
        const pages = root.querySelector(".pages span").textContent;
        const heads = all("thead button", root);
        heads.find((head) => head.textContent === "cycles").click();
        const least = root.querySelector("tbody th").textContent;
        all("tbody button", root)[0].click();
        return { pages, least, front: all("circle[role=button]", root).length, elements: all("*").length,
                 command: root.querySelector(".point code").textContent,
                 chosen: all(".axes select", root).map((one) => one.value) };
    "#;
    let Some(seen) = visit(&page, DESK, script) else { return };
    assert_eq!(seen["front"], best);
    assert_eq!(seen["pages"], "1 to 25 of 100,000");
    // A number goes down first: the most cycles are those of the last point that is not the best.
    assert_eq!(
        (&seen["least"], &seen["command"]),
        (&json!("99999"), &json!("attelier run d --set n=99999"))
    );
    assert_eq!(seen["chosen"], json!(["cycles", "small", "traffic.total_bytes", "small"]));
    assert!(seen["elements"].as_u64().unwrap() < 2_000, "{seen:#}");
}

#[test]
fn requests_and_faults_of_a_page_would_be_noticed() {
    let page = "<html><head></head><body><img src='http://127.0.0.1:9/a.png'><script>nothing()</script>\
                </body></html>";
    let Some((seen, requests)) = look(page, DESK, "return {}") else { return };
    assert_eq!(requests, ["http://127.0.0.1:9/a.png"]);
    assert!(seen["faults"][0].as_str().unwrap().contains("nothing is not defined"), "{seen:#}");
}

/// The least contrast between text and what is behind it (WCAG 2.2, relative luminance), and whether
/// the page is wider than the window.
const LOOK: &str = r#"
    for (const fold of all("details")) fold.open = true;
    for (const button of all(".exploration tbody button").slice(0, 1)) button.click();
    const channels = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = (color) => {
        const linear = (one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = channels(color).map((one) => linear(one / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => {
        for (let at = one; at; at = at.parentElement) {
            const color = getComputedStyle(at).backgroundColor;
            if ((channels(color)[3] ?? 1) > 0) return color;
        }
        return "rgb(255, 255, 255)";
    };
    let [least, where] = [Infinity, ""];
    for (const one of all("body *")) {
        const own = Array.from(one.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
        const unseen = one.closest("script, noscript, [hidden], option") || !one.getClientRects().length;
        if (!own || unseen || one.disabled) continue;
        const style = getComputedStyle(one);
        const ink = luminance(one instanceof SVGElement ? style.fill : style.color);
        const paper = luminance(behind(one));
        const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (contrast < least) [least, where] = [contrast, one.outerHTML.slice(0, 200)];
    }
    const beyond = (one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll");
    return { least, where, inner: innerWidth, wide: document.documentElement.scrollWidth,
             paper: luminance(getComputedStyle(document.body).backgroundColor),
             beyond: all("body *").filter(beyond).slice(0, 3).map((one) => one.outerHTML.slice(0, 200)) };
"#;

#[test]
fn the_page_fits_desk_and_phone_and_is_readable_in_both_colour_schemes() {
    let page = page(&ALL);
    for screen in [DESK, PHONE, Screen { dark: true, ..DESK }, Screen { dark: true, ..PHONE }] {
        let Some(seen) = visit(&page, screen, LOOK) else { return };
        assert_eq!(seen["inner"], screen.width, "{screen:?}");
        assert!(seen["wide"].as_u64().unwrap() <= u64::from(screen.width), "{screen:?}: {seen:#}");
        assert!(seen["least"].as_f64().unwrap() >= 4.5, "{screen:?}: {seen:#}");
        assert_eq!(seen["paper"].as_f64().unwrap() < 0.2, screen.dark, "{screen:?}: {seen:#}");
    }
}

#[track_caller]
fn refused(name: &str, content: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    let output = tempfile::tempdir().unwrap();
    let output_path = output.path().join("page.html");
    let message = stderr(
        &attelier(folder.path(), &["report", name, "-o", output_path.to_str().unwrap()]).code(2),
    );
    for part in [&[name], expected].concat() {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
    assert!(is_empty(output.path()));
}

#[test]
fn what_is_no_result_is_refused() {
    let run = Results::get().json("run.json");
    let with = |change: fn(&mut Value)| {
        let mut run = run.clone();
        change(&mut run);
        run.to_string()
    };
    refused("a.json", "", &["no JSON document"]);
    refused("a.json", &run.to_string()[..900], &["no JSON document", "line 1"]);
    refused("a.json", "[1, 2]", &["expected an object with `schema`"]);
    refused("a.json", "{}", &["there is no `schema`"]);
    refused("a.json", "{\"schema\": 3}", &["`schema` is 3"]);
    refused(
        "a.json",
        &with(|run| run["schema"] = "attelier-run-2".into()),
        &["did you mean `attelier-run-1`?"],
    );
    refused(
        "a.json",
        &with(|run| run["schema"] = "plotly".into()),
        &["unknown schema `plotly`", "attelier-cosim-1"],
    );
    refused(
        "a.json",
        &with(|run| run["cycles"] = (-1).into()),
        &["`attelier-run-1` is damaged", "-1", "u64"],
    );
    let without = |run: &mut Value| drop(run.as_object_mut().unwrap().remove("units"));
    refused("a.json", &with(without), &["missing field `units`"]);
    let mut table = synth();
    table["rows"][0]["estimate"] = json!({"lut": "many"});
    refused(
        "a.json",
        &table.to_string(),
        &["row 1, `estimate.lut` is \"many\": expected a number"],
    );
    refused("a.jsonl", "{\"point\": 0}\n", &["line 1 is no point"]);
    refused("a.csv", "x,y\n1,2\n", &["its columns are `x`, `y`"]);
    refused("a.json", "{\"traceEvents\": []}", &["`timeline` is damaged"]);
}

#[test]
fn files_that_are_not_there_and_folders_of_nothing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("show.json"), Results::get().json("show.json").to_string())
        .unwrap();
    for (arguments, expected) in [
        (["none.json", "-o", "p.html"], "cannot read `none.json`"),
        (["empty", "-o", "p.html"], "a folder without `points.jsonl`"),
        (["show.json", "-o", "show.json"], "it is the input"),
        (["show.json", "-o", "no/p.html"], "folder `no` does not exist"),
    ] {
        let message =
            stderr(&attelier(folder.path(), &[&["report"], &arguments[..]].concat()).code(2));
        assert!(message.contains(expected), "{message}");
    }
}

/// Many published numbers have none of ours beside them.
#[test]
fn figures_with_numbers_that_cannot_be_compared_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| attelier(folder.path(), args).code(0);
    run(&["reproduce", "rivals", "lines", "--json", "rivals.json", "-o", "rivals"]);
    let json: Value =
        serde_json::from_slice(&fs::read(folder.path().join("rivals.json")).unwrap()).unwrap();
    assert!(json["rows"].as_array().unwrap().iter().any(|row| row["ours"].is_null()));
    run(&["report", "rivals.json", "rivals/rivals/lines.csv", "-o", "page.html"]);
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.contains("CoQMoE, M3ViT-T, ZCU102: power"), "a row is missing");
    run(&["compare", "rivals.json", "rivals.json"]);
    // Browsers refuse a drawing whose comment holds two dashes.
    let drawing = fs::read_to_string(folder.path().join("rivals/rivals/lines.svg")).unwrap();
    let comment = drawing.split_once("<!--").unwrap().1.split_once("-->").unwrap().0;
    assert!(!comment.contains("--"), "{comment}");
}
