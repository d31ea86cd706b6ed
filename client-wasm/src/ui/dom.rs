//! The few touches of the page that Yew does not cover: scrolling, focus, clipboard, downloads.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, BlobPropertyBag, Document, Element, FocusOptions, HtmlAnchorElement, HtmlElement, ResizeObserver,
    Url, Window,
};

/// The window this code runs in.
#[allow(clippy::expect_used, reason = "the interface only ever runs in a window")]
pub fn window() -> Window {
    web_sys::window().expect("the interface runs in a window")
}

#[allow(
    clippy::expect_used,
    reason = "a window without a document does not run scripts"
)]
pub fn document() -> Document {
    window().document().expect("a window has a document")
}

/// The first element a selector finds.
pub fn find(selector: &str) -> Option<HtmlElement> {
    document().query_selector(selector).ok()??.dyn_into().ok()
}

pub fn by_id(id: &str) -> Option<HtmlElement> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Everything a selector finds under `root`, in order.
pub fn find_all(root: &Element, selector: &str) -> Vec<HtmlElement> {
    let Ok(list) = root.query_selector_all(selector) else {
        return Vec::new();
    };
    (0..list.length())
        .filter_map(|index| list.item(index)?.dyn_into().ok())
        .collect()
}

/// Clicks the first element a selector finds.
pub fn click(selector: &str) {
    if let Some(element) = find(selector) {
        element.click();
    }
}

/// Puts the focus on an element without scrolling to it.
pub fn focus_quietly(element: &HtmlElement) {
    let options = FocusOptions::new();
    options.set_prevent_scroll(true);
    // An element that left the page cannot be focused, which is no loss.
    let _ = element.focus_with_options(&options);
}

/// How far the page is scrolled, in pixels.
pub fn scroll_y() -> f64 {
    window().scroll_y().unwrap_or(0.0)
}

/// Scrolls the page.
pub fn scroll_to(y: f64) {
    window().scroll_to_with_x_and_y(0.0, y);
}

/// The height of the visible part, in pixels.
pub fn viewport_height() -> f64 {
    number(window().inner_height())
}

/// The width of the visible part, in pixels.
pub fn viewport_width() -> f64 {
    number(window().inner_width())
}

fn number(value: Result<JsValue, JsValue>) -> f64 {
    value.ok().and_then(|value| value.as_f64()).unwrap_or(0.0)
}

/// Where the app was loaded from, such as `https://example.org`.
pub fn origin() -> String {
    window().location().origin().unwrap_or_default()
}

/// Where the app was loaded from, such as `example.org`.
pub fn host() -> String {
    window().location().host().unwrap_or_default()
}

/// Puts text on the clipboard. `false` if the browser does not allow it.
pub async fn copy(text: &str) -> bool {
    // Where the page is no secure context there is no clipboard at all, whatever the types say.
    let clipboard = window().navigator().clipboard();
    if clipboard.is_undefined() {
        return false;
    }
    JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// Offers text as a file.
pub fn download(file_name: &str, text: &str) -> Result<(), JsValue> {
    let parts = Array::of1(&Uint8Array::from(text.as_bytes()));
    let options = BlobPropertyBag::new();
    options.set_type("text/plain;charset=utf-8");
    let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let anchor: HtmlAnchorElement = document().create_element("a")?.dyn_into()?;
    anchor.set_href(&url);
    anchor.set_download(file_name);
    anchor.click();
    Url::revoke_object_url(&url)
}

/// Sixteen random bytes.
pub fn random_token() -> [u8; 16] {
    let mut token = [0; 16];
    if let Ok(crypto) = window().crypto() {
        // Sixteen bytes are below every limit of the browser's source.
        let _ = crypto.get_random_values_with_u8_array(&mut token);
    }
    token
}

/// What to call this device, from what the browser says about itself: "Firefox on Linux".
pub fn device_name() -> String {
    let agent = window().navigator().user_agent().unwrap_or_default();
    let pick = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(sign, _)| agent.contains(sign))
            .map(|(_, name)| *name)
    };
    let browser = pick(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = pick(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    crate::ui::kit::strings::device_name(browser, system)
}

/// Scrolls just as far as needed to show an element whole, or its beginning if it is higher than the screen.
pub fn reveal(element: &Element) {
    const BAR_PX: f64 = 64.0;
    let place = element.get_bounding_client_rect();
    let bottom = viewport_height() - BAR_PX;
    if place.top() < BAR_PX || place.height() > bottom - BAR_PX {
        scroll_to(scroll_y() + place.top() - BAR_PX);
    } else if place.bottom() > bottom {
        scroll_to(scroll_y() + place.bottom() - bottom);
    }
}

/// Watches an element's size until it is dropped.
pub struct SizeWatch {
    observer: ResizeObserver,
    _callback: Closure<dyn FnMut()>,
}

impl SizeWatch {
    /// Calls `changed` after layout and before painting, whenever the size of `element` changed.
    pub fn new(element: &Element, changed: impl Fn() + 'static) -> Option<Self> {
        let callback = Closure::<dyn FnMut()>::new(changed);
        let observer = ResizeObserver::new(callback.as_ref().unchecked_ref()).ok()?;
        observer.observe(element);
        Some(Self {
            observer,
            _callback: callback,
        })
    }
}

impl Drop for SizeWatch {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

/// Runs something before the next frame is painted.
pub fn next_frame(run: impl FnOnce() + 'static) {
    let callback = Closure::once_into_js(run);
    // A function made a moment ago is a function.
    let _ = window().request_animation_frame(callback.unchecked_ref());
}

/// Focuses a field that the next drawing brings, within this many frames.
pub fn focus_soon(id: &'static str, frames: u32) {
    next_frame(move || match by_id(id) {
        Some(field) => focus_quietly(&field),
        None if frames > 0 => focus_soon(id, frames - 1),
        None => {}
    });
}
