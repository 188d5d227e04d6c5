//! Results as one HTML page that needs nothing but itself.
//!
//! What does not depend on the reader is rendered here: facts, tables, bars and timelines work without
//! scripts and in print. The scripts sort tables, show values under the pointer, and draw explorations.
//! The page carries its documents as JSON, and a content security policy forbids it every request.

mod block;
mod deviations;
mod exploration;
mod parameters;
mod rows;
mod run;
mod timeline;

use anyhow::{Context, Result};
use minijinja::{AutoEscape, Environment, Value as Text, context, value::Serde};
use serde::Serialize;
use serde_json::{Value, json};

use self::block::Section;
use crate::documents::{Content, Document};

const TEMPLATE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPTS: [&str; 2] = [include_str!("html/page.js"), include_str!("html/exploration.js")];

/// What the page holds for its scripts and for other programs.
#[derive(Debug, Default, Serialize)]
struct Data {
    /// File and content of each document that is shown as it stands.
    documents: Vec<Value>,
    /// Explorations by column, and what can be drawn of them.
    explorations: Vec<Value>,
}

/// The page of these documents, in their order.
///
/// # Errors
/// None in practice: every document has a section.
pub fn page(documents: &[Document]) -> Result<String> {
    let mut data = Data::default();
    let sections: Vec<Section> =
        documents.iter().map(|document| section(document, documents, &mut data)).collect();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let title = match &sections[..] {
        [only] => only.title.clone(),
        _ => format!("{} results", sections.len()),
    };
    let page = context! {
        title,
        sections => Text::from(Serde(&sections)),
        style => Text::from_safe_string(STYLE.to_owned()),
        script => Text::from_safe_string(SCRIPTS.join("\n")),
        data => Text::from_safe_string(embedded(&data)?),
        version => env!("CARGO_PKG_VERSION"),
    };
    environment.render_str(TEMPLATE, page).context("the page has a template that fits")
}

/// JSON inside a `script` element: no character in it can end the element or begin a comment.
fn embedded(data: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(data).context("documents have a JSON form")?;
    Ok(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn section(document: &Document, all: &[Document], data: &mut Data) -> Section {
    let file = document.file.clone();
    let mut keep = |value: &Value| {
        data.documents.push(json!({ "file": file.clone(), "content": value }));
    };
    let (title, blocks) = match &document.content {
        Content::Run(run) => {
            keep(&run.value);
            let mut blocks = run::blocks(run);
            blocks.push(parameters::block(&run.design, &run.config_hash, &run.command, all));
            blocks.extend(run::notes(run));
            (format!("{} on {}", run.design, run.workload), blocks)
        }
        Content::Rows(rows) => {
            keep(&rows.value);
            let of = rows.about("design").map(|design| format!(" of {design}")).unwrap_or_default();
            (format!("{}{of}", rows.kind.title()), rows::blocks(rows))
        }
        Content::Parameters(shown) => {
            keep(&shown.value);
            let block = parameters::of_shown(shown);
            (format!("Parameters of {}", shown.design), vec![block])
        }
        Content::Timeline(timeline) => {
            (format!("Timeline of {}", timeline.design), vec![timeline::block(timeline)])
        }
        Content::Exploration(points) => {
            let place = data.explorations.len();
            data.explorations.push(exploration::data(points, &file));
            (exploration::title(points), exploration::blocks(points, place))
        }
    };
    Section { title, file, blocks }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_json_cannot_leave_its_element() {
        let hostile = json!({"a": "</script><!--<script>&amp;"});
        let text = embedded(&hostile).unwrap();
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), hostile);
    }
}
