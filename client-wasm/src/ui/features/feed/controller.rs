//! What happens to a list: reading pages, scrolling, posts that come in.
//!
//! Invariant: nothing moves under the reader's eyes. Before anything changes above the screen, the post at its top
//! edge is remembered with its distance from the edge; after drawing, the page is scrolled so that it is there again.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use engine::api::{Event, PostView, Query, QueryResult, Timeline};
use gloo_timers::callback::Timeout;
use protocol::EntryRef;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};
use yew::NodeRef;

use super::model::{FeedModel, ReadUpTo};
use super::scroll_position::{self, ScrollPosition};
use crate::ui::dom;
use crate::ui::features::post::post_change;
use crate::ui::route::entry_from_text;
use crate::ui::state::storage::Kept;
use crate::ui::state::{Session, Ui};

/// Posts read for the first screen: few, so that it is painted soon.
const FIRST_PAGE_POSTS: u32 = 36;
/// Posts read at a time afterwards; the engine gives at most 100.
const PAGE_POSTS: u32 = 100;
/// Maximum number of posts in which the reader's place is searched when a list is opened again.
const PLACE_SEARCH_POSTS_MAX: usize = 2_000;
/// Time in milliseconds after the last movement at which the reader's place is stored.
const PLACE_PAUSE_MS: u32 = 250;
/// Height of the bar at the top of the screen in pixels.
const BAR_PX: f64 = 56.0;
/// Distance in pixels below which the reader counts as being at the top.
const TOP_PX: f64 = 24.0;

/// The state of a list that is on the page, outside of drawing.
#[derive(Default)]
pub(super) struct FeedState {
    pub(super) model: FeedModel,
    /// The chunks to draw.
    pub(super) drawn: Range<usize>,
    /// The post to keep in place over the next drawing, and where it stood.
    keep: Option<(EntryRef, f64)>,
    /// The place at which the list opens once it is drawn.
    open_at: Option<ScrollPosition>,
    /// Scroll to the top and focus the first post after the next drawing.
    to_top: bool,
    width_px: f64,
    /// Where the list began on the page when last looked at.
    begin_px: f64,
    remember: Option<Timeout>,
    frame_asked: bool,
    /// Answers to questions asked before this number are stale.
    generation: u32,
}

pub(super) type Shared = Rc<RefCell<FeedState>>;

fn chunk_number(chunk: &Element) -> Option<u64> {
    chunk.get_attribute("data-chunk")?.parse().ok()
}

/// Changes a list. Cheap to clone; all clones share one state.
#[derive(Clone)]
pub(super) struct FeedController {
    state: Shared,
    list: NodeRef,
    redraw: Rc<dyn Fn()>,
    ui: Ui,
    timeline: Timeline,
}

impl FeedController {
    /// A controller of the list in this element.
    pub(super) fn new(
        state: Shared,
        list: NodeRef,
        redraw: Rc<dyn Fn()>,
        ui: Ui,
        timeline: Timeline,
    ) -> Self {
        Self {
            state,
            list,
            redraw,
            ui,
            timeline,
        }
    }

    fn name(&self) -> String {
        match self.timeline {
            Timeline::Home => "home".to_owned(),
            Timeline::Public => "public".to_owned(),
            Timeline::Activity => "activity".to_owned(),
            Timeline::User(account) => account.to_string(),
        }
    }

    /// The place in the home timeline outlives the tab.
    fn kept(&self) -> Kept {
        if self.timeline == Timeline::Home {
            Kept::Always
        } else {
            Kept::InTab
        }
    }

    /// Reads the list from its beginning, as far as the reader's place.
    pub(super) fn open(&self, returning: bool) {
        let place = (self.timeline == Timeline::Home || returning)
            .then(|| scroll_position::load(&self.name(), self.kept()))
            .flatten();
        let generation = {
            let mut state = self.state.borrow_mut();
            state.model = FeedModel::default();
            state.model.loading = true;
            state.drawn = 0..0;
            state.keep = None;
            state.generation += 1;
            state.generation
        };
        let act = self.clone();
        spawn_local(async move {
            let mut wanted = FIRST_PAGE_POSTS;
            loop {
                if !act.read(wanted, generation).await {
                    return;
                }
                wanted = PAGE_POSTS;
                let mut state = act.state.borrow_mut();
                let found = place.and_then(|place| state.model.position(&place.post));
                let exhausted =
                    state.model.reach == ReadUpTo::End || state.model.len() >= PLACE_SEARCH_POSTS_MAX;
                if found.is_none() && place.is_some() && !exhausted {
                    continue;
                }
                state.model.loading = false;
                state.drawn = state.model.window_around(found.unwrap_or(0));
                // At the very top with nothing new above there is nothing to go to.
                state.open_at = place.filter(|place| {
                    found.is_some_and(|at| at > 0 || f64::from(place.offset_px) < BAR_PX - TOP_PX)
                });
                break;
            }
            (act.redraw)();
        });
    }

    /// Reads one page. `false` if the list moved on meanwhile or there was no answer.
    async fn read(&self, limit: u32, generation: u32) -> bool {
        let after = match &self.state.borrow().model.reach {
            ReadUpTo::Nothing => None,
            ReadUpTo::More(cursor) => Some(cursor.clone()),
            ReadUpTo::End => return false,
        };
        let query = Query::Timeline {
            timeline: self.timeline,
            after,
            limit,
        };
        let reply = self.ui.bridge.query(query).await;
        let mut state = self.state.borrow_mut();
        if state.generation != generation {
            return false;
        }
        match reply {
            Ok(QueryResult::Page(page)) => {
                state.model.append(page);
                true
            }
            _ => {
                state.model.loading = false;
                false
            }
        }
    }

    /// Reads on, if the reader comes near the end of what was read.
    fn read_on(&self) {
        let generation = {
            let mut state = self.state.borrow_mut();
            let near_end = state.drawn.end + 2 >= state.model.chunks().len();
            if state.model.loading || !near_end || !matches!(state.model.reach, ReadUpTo::More(_)) {
                return;
            }
            state.model.loading = true;
            state.generation
        };
        let act = self.clone();
        spawn_local(async move {
            if act.read(PAGE_POSTS, generation).await {
                act.state.borrow_mut().model.loading = false;
                act.record_place();
                (act.redraw)();
            }
        });
    }

    /// Looks at the screen in the next frame, once however many scroll events come before.
    pub(super) fn ask_frame(&self) {
        if std::mem::replace(&mut self.state.borrow_mut().frame_asked, true) {
            return;
        }
        let act = self.clone();
        dom::next_frame(move || {
            act.state.borrow_mut().frame_asked = false;
            act.look();
        });
    }

    /// The screen moved: draw other chunks, read on, remember the place.
    fn look(&self) {
        let Some(list) = self.list.cast::<HtmlElement>() else {
            return;
        };
        let rect = list.get_bounding_client_rect();
        let changed = {
            let mut state = self.state.borrow_mut();
            if (state.width_px - rect.width()).abs() > 0.5 {
                state.width_px = rect.width();
                state.model.forget_heights();
            }
            let window = state
                .model
                .window(Self::top_px(&list, &state), dom::viewport_height());
            let changed = window != state.drawn;
            state.drawn = window;
            changed
        };
        if changed {
            self.record_place();
            (self.redraw)();
        }
        self.read_on();
        self.remember_soon();
    }

    /// Where the screen begins within the list, by the model's heights. What was measured since the last drawing moved
    /// the model, not yet the page: so it is computed from a chunk that is on the page.
    fn top_px(list: &Element, state: &FeedState) -> f64 {
        let standing = dom::find_all(list, "[data-chunk]").into_iter().find_map(|chunk| {
            let number = chunk_number(&chunk)?;
            let index = state
                .model
                .chunks()
                .iter()
                .position(|known| known.number == number)?;
            Some((index, chunk.get_bounding_client_rect().top()))
        });
        match standing {
            Some((index, top_px)) => state.model.height(0..index) - top_px,
            None => -list.get_bounding_client_rect().top(),
        }
    }

    /// The first post on the screen and its distance from the upper edge.
    fn top_post(&self) -> Option<(EntryRef, f64)> {
        let list = self.list.cast::<Element>()?;
        dom::find_all(&list, "[data-testid=post]")
            .into_iter()
            .find_map(|post| {
                let place = post.get_bounding_client_rect();
                (place.bottom() > BAR_PX).then(|| {
                    Some((
                        entry_from_text(&post.get_attribute("data-post-id")?)?,
                        place.top(),
                    ))
                })?
            })
    }

    fn find(&self, post: &EntryRef) -> Option<HtmlElement> {
        let list = self.list.cast::<Element>()?;
        let selector = format!("[data-post-id=\"{}/{}\"]", post.account, post.id);
        dom::find_all(&list, &selector).into_iter().next()
    }

    /// Something above the list changed its height: follow it, if the reader is already past it.
    pub(super) fn hold_against_growth(&self) {
        let Some(list) = self.list.cast::<Element>() else {
            return;
        };
        let begin_px = list.get_bounding_client_rect().top() + dom::scroll_y();
        let was_px = std::mem::replace(&mut self.state.borrow_mut().begin_px, begin_px);
        let moved_px = begin_px - was_px;
        if was_px > 0.0 && moved_px.abs() > 0.5 && dom::scroll_y() > was_px {
            dom::scroll_to(dom::scroll_y() + moved_px);
        }
    }

    /// Remembers the post at the upper edge, before something above it changes. At the top of the page nothing is
    /// kept: there the reader wants to see what comes.
    fn record_place(&self) {
        if dom::scroll_y() < TOP_PX {
            return;
        }
        let top = self.top_post();
        let mut state = self.state.borrow_mut();
        if state.keep.is_none() {
            state.keep = top;
        }
    }

    /// After drawing: measures what is new and puts the reader's post back in its place.
    pub(super) fn settle(&self) {
        let Some(list) = self.list.cast::<Element>() else {
            return;
        };
        for chunk in dom::find_all(&list, "[data-chunk]") {
            if let Some(number) = chunk_number(&chunk) {
                let height_px = chunk.get_bounding_client_rect().height();
                self.state.borrow_mut().model.measured(number, height_px);
            }
        }
        let (keep, open_at, to_top) = {
            let mut state = self.state.borrow_mut();
            (
                state.keep.take(),
                state.open_at.take(),
                std::mem::take(&mut state.to_top),
            )
        };
        if to_top {
            dom::scroll_to(0.0);
            if let Some(first) = dom::find_all(&list, "[data-testid=post]").first() {
                dom::focus_quietly(first);
            }
        } else if let Some((post, was_px)) =
            keep.or(open_at.map(|place| (place.post, f64::from(place.offset_px))))
        {
            if let Some(element) = self.find(&post) {
                let moved_px = element.get_bounding_client_rect().top() - was_px;
                if moved_px.abs() > 0.5 {
                    dom::scroll_to(dom::scroll_y() + moved_px);
                }
            }
        } else {
            self.hold_against_growth();
        }
        self.state.borrow_mut().begin_px = list.get_bounding_client_rect().top() + dom::scroll_y();
        // What was drawn may be higher or lower than guessed: look whether the screen is covered.
        let covered = {
            let state = self.state.borrow();
            state.model.is_empty()
                || state
                    .model
                    .window(Self::top_px(&list, &state), dom::viewport_height())
                    == state.drawn
        };
        if !covered {
            self.ask_frame();
        }
    }

    fn remember_soon(&self) {
        let act = self.clone();
        let later = Timeout::new(PLACE_PAUSE_MS, move || act.remember());
        self.state.borrow_mut().remember = Some(later);
    }

    fn remember(&self) {
        if let Some((post, top_px)) = self.top_post() {
            let offset_px = top_px as i32;
            scroll_position::save(&self.name(), self.kept(), ScrollPosition { post, offset_px });
        }
    }

    fn belongs(&self, post: &PostView) -> bool {
        match self.timeline {
            Timeline::Home => post.in_home,
            Timeline::Public => true,
            Timeline::User(account) => post.entry.account == account,
            Timeline::Activity => post.in_activity,
        }
    }

    pub(super) fn on_event(&self, event: &Event, session: &Session) {
        let changed = match event {
            Event::Posts { posts, more } => self.on_posts(posts, *more, session),
            Event::Profile(profile) => self
                .state
                .borrow_mut()
                .model
                .rename(profile.account, &profile.name),
            Event::Ready { .. } => {
                let unread = {
                    let state = self.state.borrow();
                    state.model.is_empty() && state.model.reach == ReadUpTo::Nothing
                };
                if unread {
                    self.open(true);
                }
                false
            }
            Event::Rebuilding { done, total } => {
                if done == total {
                    self.open(true);
                }
                false
            }
            other => post_change(other).is_some_and(|change| {
                let mut state = self.state.borrow_mut();
                let known = state.model.update(&change.post, |post| (change.apply)(post));
                drop(state);
                if known {
                    // The post may be above the screen and change its height.
                    self.record_place();
                }
                known
            }),
        };
        if changed {
            (self.redraw)();
        }
    }

    fn on_posts(&self, posts: &[PostView], more: bool, session: &Session) -> bool {
        let own_device = session.me.as_ref().map(|me| me.device);
        let mut changed = false;
        let mut came = false;
        let mut own = false;
        for post in posts {
            if !self.belongs(post) {
                continue;
            }
            let known = self.state.borrow_mut().model.update(&post.entry, |known| {
                // What other entries say was not looked for.
                let beside = core::mem::take(&mut known.beside);
                known.clone_from(post);
                known.beside = beside;
            });
            if known {
                changed = true;
                continue;
            }
            came = true;
            if Some(post.device) == own_device && self.state.borrow().model.reach != ReadUpTo::Nothing {
                // One's own post appears at once, wherever the reader is.
                self.record_place();
                let mut state = self.state.borrow_mut();
                let shift = usize::from(state.model.prepend(post.clone()));
                state.drawn = state.drawn.start + shift..(state.drawn.end + shift).max(1);
                if dom::scroll_y() < TOP_PX {
                    state.drawn.start = 0;
                }
                (changed, own) = (true, true);
            } else {
                changed |= self.state.borrow_mut().model.hold(post.entry);
            }
        }
        if more {
            let mut state = self.state.borrow_mut();
            changed |= !state.model.held_more;
            state.model.held_more = true;
            came = true;
        }
        // An empty page has no reader's place to protect: show what came.
        let empty = {
            let state = self.state.borrow();
            state.model.is_empty() && !state.model.loading
        };
        if came && empty {
            self.open(false);
            return false;
        }
        if own {
            self.ask_frame();
        }
        changed
    }

    /// The reader asks for what is new: the list begins again from the top.
    pub(super) fn show_new(&self) {
        let generation = {
            let mut state = self.state.borrow_mut();
            state.generation += 1;
            state.generation
        };
        let act = self.clone();
        spawn_local(async move {
            let query = Query::Timeline {
                timeline: act.timeline,
                after: None,
                limit: FIRST_PAGE_POSTS,
            };
            let reply = act.ui.bridge.query(query).await;
            {
                let mut state = act.state.borrow_mut();
                let (Ok(QueryResult::Page(page)), true) = (reply, state.generation == generation) else {
                    return;
                };
                state.model = FeedModel::default();
                state.model.append(page);
                state.drawn = state.model.window_around(0);
                state.keep = None;
                state.to_top = true;
            }
            (act.redraw)();
        });
    }
}
