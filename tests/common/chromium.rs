//! A page in headless Chromium: what a script sees in it, its faults, and its requests.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::has;

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Width of the window [pixels].
    pub width: u32,
    /// Whether the reader prefers dark pages.
    pub dark: bool,
}

/// Gathers faults from the first script on.
const BEFORE: &str = r#"<script>
const faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => faults.push(`blocked ${event.blockedURI}`));
for (const kind of ["error", "warn"]) console[kind] = (...words) => faults.push(words.join(" "));
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const texts = (selector, root = document) => all(selector, root).map((one) => one.textContent);
const point = (target, type, x, y) => {
  const box = target.getBoundingClientRect();
  const place = { clientX: x ?? box.left + box.width / 2, clientY: y ?? box.top + box.height / 2 };
  target.dispatchEvent(new PointerEvent(type, { bubbles: true, ...place }));
};
</script>"#;

/// The page in a frame: windows of a browser are 500 pixels wide or more.
const WINDOW: &str = r#"<!doctype html><meta name="color-scheme" content="light dark"><body>
<script>
addEventListener("message", ({ data }) => {
  const ascii = (letter) => "\\u" + letter.charCodeAt(0).toString(16).padStart(4, "0");
  const seen = document.createElement("pre");
  seen.textContent = JSON.stringify(data).replace(/[<>&\u0080-\uffff]/g, ascii);
  document.body.replaceChildren(seen);
});
</script>
<iframe src="page.html" width="WIDTH" height="900" style="border: 0"></iframe>"#;

/// Looks at a page: runs `script`, the body of a function, and returns the object that it does. The page
/// must have no fault and ask for nothing. `None` without Chromium.
#[track_caller]
pub fn visit(page: &str, screen: Screen, script: &str) -> Option<Value> {
    let (seen, requests) = look(page, screen, script)?;
    assert!(seen["failure"].is_null(), "{seen:#}");
    assert_eq!(seen["faults"], Value::Array(Vec::new()));
    assert_eq!(seen["requests"], Value::Array(Vec::new()));
    assert_eq!(requests, [""; 0]);
    Some(seen)
}

/// What a script returns, with `faults` and `requests` as the page sees them, and the addresses that the
/// browser asked for on behalf of the page.
#[track_caller]
pub fn look(page: &str, screen: Screen, script: &str) -> Option<(Value, Vec<String>)> {
    if !has("chromium") {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let after = format!(
        "<script>addEventListener('load', async () => {{
            let seen;
            try {{ seen = await (async () => {{ {script} }})(); }}
            catch (error) {{ seen = {{ failure: String(error.stack) }}; }}
            seen.faults = faults;
            seen.requests = performance.getEntriesByType('resource').map((entry) => entry.name);
            parent.postMessage(seen, '*');
        }});</script>"
    );
    let (head, body) = (page.find("<head>").unwrap() + 6, page.rfind("</body>").unwrap());
    let copy = [&page[..head], BEFORE, &page[head..body], &after, &page[body..]].concat();
    fs::write(folder.path().join("page.html"), copy).unwrap();
    let window = folder.path().join("window.html");
    fs::write(&window, WINDOW.replace("WIDTH", &screen.width.to_string())).unwrap();
    let log = folder.path().join("requests.json");
    let output = command(folder.path(), screen)
        .arg(format!("--log-net-log={}", log.display()))
        .args(["--virtual-time-budget=60000", "--dump-dom"])
        .arg(format!("file://{}", window.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen = dom.split_once("<pre>").and_then(|(_, rest)| rest.split_once("</pre>"));
    let Some((seen, _)) = seen else {
        panic!("{dom}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let seen = serde_json::from_str(seen).unwrap();
    Some((seen, requests(&fs::read_to_string(log).unwrap())))
}

/// Addresses on a network that a page asked for, in the log of all requests. What the browser itself
/// asks for has no page as its initiator; files are not in the log.
fn requests(log: &str) -> Vec<String> {
    // A browser that is ended may leave the list of events open.
    let log: Value = serde_json::from_str(log)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", log.trim_end().trim_end_matches(','))))
        .unwrap();
    let events = log["events"].as_array().unwrap().iter().map(|event| &event["params"]);
    let by_pages = events
        .filter(|params| params["initiator"].as_str().is_some_and(|by| by != "not an origin"));
    let mut addresses: Vec<String> =
        by_pages.filter_map(|params| params["url"].as_str()).map(str::to_owned).collect();
    addresses.dedup();
    addresses
}

/// Chromium with a profile of its own, and without traffic of its own.
fn command(folder: &Path, screen: Screen) -> Command {
    let mut command = Command::new("chromium");
    command
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-default-apps", "--disable-extensions", "--no-pings", "--hide-scrollbars"])
        .arg("--disable-features=OptimizationHints,MediaRouter,Translate")
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--window-size=1400,1000", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!screen.dark)));
    command
}
