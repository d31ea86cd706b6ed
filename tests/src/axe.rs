//! Accessibility checks by axe-core inside a page.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::{Page, workspace_root};

/// A rule a page breaks.
#[derive(Debug, Clone, Deserialize)]
pub struct Violation {
    /// The rule's name, such as `color-contrast`.
    pub id: String,
    /// `minor`, `moderate`, `serious` or `critical`.
    pub impact: Option<String>,
    /// What the rule asks for.
    pub help: String,
    /// The offending elements as selectors, with what is wrong about each.
    pub nodes: Vec<String>,
}

fn source_path() -> PathBuf {
    workspace_root().join(".tools/node_modules/axe-core/axe.min.js")
}

/// Nothing fades in or changes its colour any more. What moves for ever is left to move.
const SETTLED: &str = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))
    .then(() => document.getAnimations().every(animation =>
        animation.playState !== 'running' || animation.effect.getComputedTiming().endTime === Infinity))";

/// Checks the page once it has settled; returns what is serious or critical.
pub async fn serious_violations(page: &Page) -> Result<Vec<Violation>> {
    let path = source_path();
    let source = std::fs::read_to_string(&path)
        .with_context(|| format!("{} is missing: `scripts/test` installs it", path.display()))?;
    // Half a megabyte: once a page is enough.
    if page.eval::<bool>("typeof axe === 'undefined'").await? {
        page.eval::<Value>(&format!("{source}; 0"))
            .await
            .context("loading axe-core")?;
    }
    page.wait_for(SETTLED).await?;
    let found: Vec<Violation> = page
        .eval(
            "axe.run(document, { resultTypes: ['violations'] }).then(result => result.violations.map(v => ({
                id: v.id, impact: v.impact, help: v.help,
                nodes: v.nodes.map(n => n.target.join(' ') + ': ' + n.failureSummary),
            })))",
        )
        .await?;
    Ok(found
        .into_iter()
        .filter(|v| matches!(v.impact.as_deref(), Some("serious" | "critical")))
        .collect())
}
