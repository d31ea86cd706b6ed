//! Pages that the first timeline does without. Their code is a file of its own, which the browser fetches when the
//! first of them is opened; the service worker keeps it with the rest of the app.
//!
//! Only the build with the feature `split` has that file. In every other build the code is in the one program, and a
//! page is there at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use web_sys::MouseEvent;
use yew::prelude::*;
use yew::virtual_dom::Key;

use super::layout::Page;
use super::strings;
use crate::ui::kit;
use crate::ui::kit::icons::mark;

/// The code could not be fetched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadError;

#[cfg(feature = "split")]
impl From<wasm_split_helpers::SplitLoaderError> for LoadError {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        Self
    }
}

type Loaded = Result<Html, LoadError>;
type Loading = Pin<Box<dyn Future<Output = Loaded>>>;

/// Declares an async function whose body is in the file that is loaded later. What is reachable from such bodies alone
/// is there too.
macro_rules! loaded_later {
    ($visible:vis fn $name:ident($($argument:ident: $type:ty),*) $body:block) => {
        #[cfg(feature = "split")]
        #[wasm_split_helpers::wasm_split(pages, fallible)]
        $visible fn $name($($argument: $type),*) -> Result<yew::Html, $crate::ui::shell::lazy::LoadError> {
            Ok($body)
        }

        #[cfg(not(feature = "split"))]
        $visible async fn $name($($argument: $type),*) -> Result<yew::Html, $crate::ui::shell::lazy::LoadError> {
            Ok($body)
        }
    };
}
pub(crate) use loaded_later;

/// A page that `load` draws. Until its code is here, its bar is shown and how far that is. It is drawn once for each
/// `key`.
pub fn lazy_page<L>(
    key: impl Into<Key>,
    title: impl Into<AttrValue>,
    back: bool,
    load: impl Fn() -> L + 'static,
) -> Html
where
    L: Future<Output = Loaded> + 'static,
{
    let bar = Some((title.into(), back));
    html! { <Lazy key={key} {bar} load={boxed(load)} /> }
}

/// A part of a page, in the same way.
pub fn lazy_part<L>(key: &'static str, load: impl Fn() -> L + 'static) -> Html
where
    L: Future<Output = Loaded> + 'static,
{
    html! { <Lazy {key} bar={None} load={boxed(load)} /> }
}

fn boxed<L>(load: impl Fn() -> L + 'static) -> Callback<(), Loading>
where
    L: Future<Output = Loaded> + 'static,
{
    Callback::from(move |()| -> Loading { Box::pin(load()) })
}

#[derive(Properties, PartialEq)]
struct LazyProps {
    /// The title of a page, and whether a button in its bar leads back.
    bar: Option<(AttrValue, bool)>,
    load: Callback<(), Loading>,
}

/// `None` while the code is being loaded.
struct Lazy(Option<Loaded>);

enum Message {
    Loaded(Loaded),
    Again,
}

/// Begins to load. The content itself if the code is here already, so that nothing else is shown before it.
fn begin(context: &yew::Context<Lazy>) -> Option<Loaded> {
    let mut loading = context.props().load.emit(());
    match loading.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(loaded) => Some(loaded),
        Poll::Pending => {
            context
                .link()
                .send_future(async move { Message::Loaded(loading.await) });
            None
        }
    }
}

impl Component for Lazy {
    type Message = Message;
    type Properties = LazyProps;

    fn create(context: &yew::Context<Self>) -> Self {
        Self(begin(context))
    }

    fn update(&mut self, context: &yew::Context<Self>, message: Message) -> bool {
        self.0 = match message {
            Message::Loaded(loaded) => Some(loaded),
            Message::Again => begin(context),
        };
        true
    }

    fn changed(&mut self, _: &yew::Context<Self>, _: &LazyProps) -> bool {
        false
    }

    fn view(&self, context: &yew::Context<Self>) -> Html {
        let state = match &self.0 {
            Some(Ok(content)) => return content.clone(),
            Some(Err(LoadError)) => {
                let again = context.link().callback(|_: MouseEvent| Message::Again);
                let again = kit::button("btn", "load-again", "retry", kit::strings::RETRY, again);
                kit::empty(
                    "load-failed",
                    mark("56"),
                    strings::LOAD_FAILED,
                    strings::LOAD_FAILED_HINT,
                    again,
                )
            }
            None => kit::empty("loading", mark("56"), "", strings::LOADING, html! {}),
        };
        let state = html! { <div role="status">{ state }</div> };
        match &context.props().bar {
            Some((title, back)) => html! { <Page {title} back={*back}>{ state }</Page> },
            None => state,
        }
    }
}
