//! One page, used as a person uses it: look, wait, click, type.
//!
//! Elements are named by CSS selectors; [`testid`] makes one from a test id. Whatever acts on an element first waits
//! until a person could act on it: it is there, has stopped moving, and nothing lies on top of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::browser::Shared;
use crate::console::{Level, Line, render};
use crate::keys::{self, Modifiers};
use crate::wait::DEADLINE;

/// The person's preferred colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The selector of the element with that `data-testid`.
#[must_use]
pub fn testid(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

/// A page. Dropping it leaves the page open; [`Page::close`] closes it.
#[derive(Debug)]
pub struct Page {
    shared: Arc<Shared>,
    context: String,
    target: String,
    session: String,
}

impl Page {
    pub(crate) fn new(shared: Arc<Shared>, context: String, target: String, session: String) -> Self {
        Self {
            shared,
            context,
            target,
            session,
        }
    }

    pub(crate) async fn prepare(&self) -> Result<()> {
        self.call("Page.enable", json!({})).await?;
        self.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))
            .await?;
        Ok(())
    }

    /// Calls the DevTools protocol on this page, for what has no method here.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.shared.cdp.call(Some(&self.session), method, params).await
    }

    /// A script that runs in every later document of this page, before the document's own.
    pub async fn init_script(&self, source: &str) -> Result<()> {
        self.call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": source }),
        )
        .await?;
        Ok(())
    }

    // Going places.

    /// Navigates, and waits until the document is loaded.
    pub async fn goto(&self, url: &str) -> Result<()> {
        let went = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = went["errorText"].as_str() {
            bail!("going to {url}: {error}");
        }
        self.loaded().await
    }

    /// Reloads as the reload key does, and waits until the document is loaded.
    pub async fn reload(&self) -> Result<()> {
        self.eval::<Value>("window.__beforeReload = true; 0").await?;
        self.call("Page.reload", json!({})).await?;
        self.wait_for("!window.__beforeReload").await?;
        self.loaded().await
    }

    async fn loaded(&self) -> Result<()> {
        self.wait_for("document.readyState === 'complete'")
            .await
            .map(|_| ())
    }

    /// The address the page is at.
    pub async fn url(&self) -> Result<String> {
        self.eval("location.href").await
    }

    /// Brings the page to the front of its browser.
    pub async fn bring_to_front(&self) -> Result<()> {
        self.call("Page.bringToFront", json!({})).await.map(|_| ())
    }

    /// Closes the page as its close button does.
    pub async fn close(self) -> Result<()> {
        let params = json!({ "targetId": self.target });
        self.shared.cdp.call(None, "Target.closeTarget", params).await?;
        Ok(())
    }

    // Looking.

    /// Evaluates an expression (a promise is awaited) and takes its value.
    pub async fn eval<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let value = self.evaluate(expression, DEADLINE).await?;
        serde_json::from_value(value).with_context(|| format!("the value of {expression}"))
    }

    async fn evaluate(&self, expression: &str, within: Duration) -> Result<Value> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        // The page measures its own time; the call only has to outlive it.
        let within = within + Duration::from_secs(5);
        let cdp = &self.shared.cdp;
        let mut answer = cdp
            .call_within(Some(&self.session), "Runtime.evaluate", params, within)
            .await?;
        if let Some(details) = answer.get("exceptionDetails") {
            let description = details["exception"]["description"].as_str();
            bail!(
                "{}",
                description.or(details["text"].as_str()).unwrap_or("exception")
            );
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until a JavaScript expression is truthy (a promise is awaited) and returns its value.
    ///
    /// It survives navigations, and counts exceptions as "not yet". A failure tells the console and leaves a picture.
    pub async fn wait_for(&self, expression: &str) -> Result<Value> {
        self.wait_for_within(expression, DEADLINE).await
    }

    /// Like [`Page::wait_for`] with a deadline of the caller's choice.
    pub async fn wait_for_within(&self, expression: &str, deadline: Duration) -> Result<Value> {
        let started = Instant::now();
        let mut last = String::new();
        loop {
            let left = deadline.saturating_sub(started.elapsed());
            match self.evaluate(&watcher(expression, left), left).await {
                Ok(answer) if answer["met"] == true => return Ok(answer["value"].clone()),
                Ok(answer) => answer["error"].as_str().unwrap_or_default().clone_into(&mut last),
                Err(error) => {
                    last = format!("{error:#}");
                    if last.contains("SyntaxError") {
                        bail!("{expression}\n{last}");
                    }
                    // The document went away under us: look again in its successor.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            if started.elapsed() >= deadline {
                let report = self.report().await;
                bail!(
                    "waited {:.1} s in vain for {expression}\n  {last}\n{report}",
                    deadline.as_secs_f32()
                );
            }
        }
    }

    /// Waits until an element is there.
    pub async fn wait_element(&self, selector: &str) -> Result<()> {
        self.wait_for(&format!("!!{}", find(selector))).await.map(|_| ())
    }

    /// Waits until no such element is there.
    pub async fn wait_gone(&self, selector: &str) -> Result<()> {
        self.wait_for(&format!("!{}", find(selector))).await.map(|_| ())
    }

    /// Waits until some element matching the selector shows a text containing `text`.
    pub async fn wait_text(&self, selector: &str, text: &str) -> Result<()> {
        let has = format!(
            "[...document.querySelectorAll({})].some(e => e.innerText.includes({}))",
            quoted(selector),
            quoted(text)
        );
        self.wait_for(&has).await.map(|_| ())
    }

    /// Waits until an attribute of the first matching element has a value.
    pub async fn wait_attr(&self, selector: &str, name: &str, value: &str) -> Result<()> {
        let is = format!(
            "{}?.getAttribute({}) === {}",
            find(selector),
            quoted(name),
            quoted(value)
        );
        self.wait_for(&is).await.map(|_| ())
    }

    /// The visible text of the first matching element.
    pub async fn text(&self, selector: &str) -> Result<String> {
        self.wait_element(selector).await?;
        self.eval(&format!("{}.innerText", find(selector))).await
    }

    /// The visible texts of all matching elements, in document order.
    pub async fn texts(&self, selector: &str) -> Result<Vec<String>> {
        self.eval(&format!(
            "[...document.querySelectorAll({})].map(e => e.innerText)",
            quoted(selector)
        ))
        .await
    }

    /// An attribute of the first matching element.
    pub async fn attr(&self, selector: &str, name: &str) -> Result<Option<String>> {
        self.wait_element(selector).await?;
        self.eval(&format!("{}.getAttribute({})", find(selector), quoted(name)))
            .await
    }

    /// How many elements match.
    pub async fn count(&self, selector: &str) -> Result<usize> {
        self.eval(&format!("document.querySelectorAll({}).length", quoted(selector)))
            .await
    }

    // Acting.

    /// Clicks the middle of an element with the mouse.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let at = self.wait_for(&reachable(selector)).await?;
        self.mouse("mouseMoved", &at, 0).await?;
        self.mouse("mousePressed", &at, 1).await?;
        self.mouse("mouseReleased", &at, 1).await
    }

    /// Touches the middle of an element with one finger, and lifts it.
    pub async fn tap(&self, selector: &str) -> Result<()> {
        let at = self.wait_for(&reachable(selector)).await?;
        let finger = json!([{ "x": at["x"], "y": at["y"] }]);
        self.touch("touchStart", finger).await?;
        self.touch("touchEnd", json!([])).await
    }

    async fn touch(&self, kind: &str, fingers: Value) -> Result<()> {
        let params = json!({ "type": kind, "touchPoints": fingers });
        self.call("Input.dispatchTouchEvent", params).await.map(|_| ())
    }

    async fn mouse(&self, kind: &str, at: &Value, clicks: u8) -> Result<()> {
        let button = if clicks > 0 { "left" } else { "none" };
        let params =
            json!({ "type": kind, "x": at["x"], "y": at["y"], "button": button, "clickCount": clicks });
        self.call("Input.dispatchMouseEvent", params).await.map(|_| ())
    }

    /// Presses one key: a character, or a name such as `Enter`.
    pub async fn press(&self, key: &str) -> Result<()> {
        self.press_with(key, Modifiers::NONE).await
    }

    /// Presses one key while others are held.
    pub async fn press_with(&self, key: &str, modifiers: Modifiers) -> Result<()> {
        for event in keys::press(key, modifiers) {
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Clicks into a field and types, key by key.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        self.click(selector).await?;
        let mut buffer = [0; 4];
        for character in text.chars() {
            let key = if character == '\n' {
                "Enter"
            } else {
                character.encode_utf8(&mut buffer)
            };
            self.press(key).await?;
        }
        Ok(())
    }

    /// Clicks into a field, replaces what is in it and puts `text` there at once, as pasting does.
    pub async fn paste_into(&self, selector: &str, text: &str) -> Result<()> {
        self.click(selector).await?;
        self.eval::<Value>("document.activeElement?.select?.(); 0")
            .await?;
        self.call("Input.insertText", json!({ "text": text }))
            .await
            .map(|_| ())
    }

    // What the page believes about the world.

    /// Sets the size of the viewport, as a phone's or a desktop's, and waits until the page has taken it.
    pub async fn set_viewport(&self, width: u32, height: u32, mobile: bool) -> Result<()> {
        let scale = if mobile { 2 } else { 1 };
        let params =
            json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", params).await?;
        // The next click must not aim at where things were before.
        let taken = format!(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))\
             .then(() => outerWidth === {width} || innerWidth === {width})"
        );
        self.wait_for(&taken).await.map(|_| ())
    }

    /// From now on the page is operated with a finger: it has a touch screen and no pointer that hovers.
    pub async fn set_touch(&self) -> Result<()> {
        let params = json!({ "enabled": true, "maxTouchPoints": 1 });
        self.call("Emulation.setTouchEmulationEnabled", params)
            .await
            .map(|_| ())
    }

    /// Sets the preferred colours and whether motion is to be reduced.
    pub async fn set_preferences(&self, scheme: Scheme, reduced_motion: bool) -> Result<()> {
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let motion = if reduced_motion { "reduce" } else { "no-preference" };
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": motion },
        ]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await
            .map(|_| ())
    }

    /// Clears everything the page's origin stored: databases, caches, service workers, cookies.
    pub async fn clear_site_data(&self) -> Result<()> {
        let origin: String = self.eval("location.origin").await?;
        let params = json!({ "origin": origin, "storageTypes": "all" });
        self.call("Storage.clearDataForOrigin", params).await.map(|_| ())
    }

    /// Writes a picture of the viewport, or of the whole document, as PNG.
    pub async fn screenshot(&self, path: &Path, whole: bool) -> Result<()> {
        let params = json!({ "format": "png", "captureBeyondViewport": whole });
        let params = if whole {
            self.whole_document(params).await?
        } else {
            params
        };
        let picture = self.call("Page.captureScreenshot", params).await?;
        let bytes = BASE64.decode(picture["data"].as_str().unwrap_or_default().as_bytes())?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
    }

    async fn whole_document(&self, mut params: Value) -> Result<Value> {
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await?;
        let size = &metrics["cssContentSize"];
        params["clip"] =
            json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        Ok(params)
    }

    // What it said.

    /// What this page, its workers and its context's service workers said.
    #[must_use]
    pub fn console(&self) -> Vec<Line> {
        self.shared.console.matching(|line| {
            line.context == self.context && line.page.as_ref().is_none_or(|page| *page == self.target)
        })
    }

    /// The errors and uncaught exceptions among it.
    #[must_use]
    pub fn errors(&self) -> Vec<Line> {
        let mut lines = self.console();
        lines.retain(|line| matches!(line.level, Level::Error | Level::Exception));
        lines
    }

    /// What a failure needs to be understood: address, console, and where a picture was left.
    async fn report(&self) -> String {
        let url = self
            .url()
            .await
            .unwrap_or_else(|error| format!("unknown ({error:#})"));
        let file = crate::shots_dir().join(format!("failure-{}-{}.png", std::process::id(), self.target));
        let shot = match self.screenshot(&file, false).await {
            Ok(()) => file.display().to_string(),
            Err(error) => format!("none ({error:#})"),
        };
        format!(
            "  at {url}\n  picture: {shot}\n  console:\n{}",
            render(&self.console())
        )
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn find(selector: &str) -> String {
    format!("document.querySelector({})", quoted(selector))
}

/// Where to click an element, once it is enabled, still and uncovered.
fn reachable(selector: &str) -> String {
    format!(
        "(async () => {{
            const element = {};
            if (!element || element.disabled) return null;
            element.scrollIntoView({{ block: 'nearest', inline: 'nearest', behavior: 'instant' }});
            const before = element.getBoundingClientRect();
            await new Promise(done => setTimeout(done, 20));
            const box = element.getBoundingClientRect();
            if (!box.width || !box.height || box.x !== before.x || box.y !== before.y) return null;
            const x = box.x + box.width / 2, y = box.y + box.height / 2;
            const hit = document.elementFromPoint(x, y);
            const meant = hit && (element.contains(hit) || hit.closest('label')?.control === element);
            return meant ? {{ x, y }} : null;
        }})()",
        find(selector)
    )
}

/// A promise that looks at a condition from inside the page until it holds or the time is up.
fn watcher(expression: &str, left: Duration) -> String {
    format!(
        "new Promise(done => {{
            const end = performance.now() + {};
            const look = async () => {{
                let value = null, error = '';
                try {{ value = await ({expression}); }} catch (thrown) {{ error = String(thrown); }}
                if (value) done({{ met: true, value }});
                else if (performance.now() >= end) done({{ met: false, error }});
                else setTimeout(look, 10);
            }};
            look();
        }})",
        left.as_millis()
    )
}
