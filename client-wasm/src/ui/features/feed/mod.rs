//! A timeline on the page: windowed, opened where the reader left it, and never moving under the reader's eyes.
//!
//! The rule for the last: before anything changes above the screen, the post at its top edge is remembered with its
//! distance from the edge; after drawing, the page is scrolled so that it stands there again.

pub mod model;

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use engine::api::{Event, PostView, Query, Reply, Timeline};
use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use protocol::EntryRef;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement, MouseEvent};
use yew::prelude::*;

use crate::ui::features::feed::model::{FeedModel, Reach};
use crate::ui::features::post::Post;
use crate::ui::kit::icons::icon_with;
use crate::ui::route::entry_from_text;
use crate::ui::state::prefs::{self, Place};
use crate::ui::state::{Session, Ui, use_events, use_scene};
use crate::ui::{dom, strings};

/// Posts read for the first screen: few, so that it is painted soon.
const FIRST_PAGE_POSTS: u32 = 36;
/// Posts read at a time afterwards; the engine gives at most 100.
const PAGE_POSTS: u32 = 100;
/// How far down the reader's place is looked for when a list is opened again.
const PLACE_SEARCH_POSTS_MAX: usize = 2_000;
/// The reader's place is remembered this long after the last movement.
const PLACE_PAUSE_MS: u32 = 250;
/// The bar at the top of the screen.
const BAR_PX: f64 = 56.0;
/// Closer to the top than this, the reader is at the top.
const TOP_PX: f64 = 24.0;

/// A timeline.
#[derive(Properties, PartialEq)]
pub struct FeedProps {
    /// Which.
    pub timeline: Timeline,
    /// Its name for screen readers.
    pub label: &'static str,
    /// Shown when it has no posts.
    pub empty: Html,
}

/// What lives as long as the list is on the page, outside of drawing.
struct Life {
    model: FeedModel,
    /// The chunks to draw.
    drawn: Range<usize>,
    /// The post to keep in place over the next drawing, and where it stood.
    keep: Option<(EntryRef, f64)>,
    /// Where to open the list, once it is drawn.
    open_at: Option<Place>,
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

type Shared = Rc<RefCell<Life>>;

/// See [`FeedProps`].
#[component]
pub fn Feed(props: &FeedProps) -> Html {
    let scene = use_scene();
    let list = use_node_ref();
    let redraw = use_force_update();
    let timeline = props.timeline;
    let life: Shared = use_mut_ref(|| Life {
        model: FeedModel::default(),
        drawn: 0..0,
        keep: None,
        open_at: None,
        to_top: false,
        width_px: 0.0,
        begin_px: 0.0,
        remember: None,
        frame_asked: false,
        generation: 0,
    });
    let act = Actor {
        life: life.clone(),
        list: list.clone(),
        redraw: Rc::new(move || redraw.force_update()),
        ui: scene.ui.clone(),
        timeline,
    };

    // Opening: home always where the reader left it, other lists only when going back to them.
    {
        let act = act.clone();
        let returning = scene.visit.returning;
        use_effect_with(timeline, move |_| act.open(returning));
    }

    // Scrolling and turning the device.
    {
        let act = act.clone();
        use_effect_with(timeline, move |_| {
            let on_scroll = {
                let act = act.clone();
                EventListener::new(&dom::window(), "scroll", move |_| act.ask_frame())
            };
            let on_resize = {
                let act = act.clone();
                EventListener::new(&dom::window(), "resize", move |_| act.ask_frame())
            };
            // What stands above the list comes, goes and grows as well.
            let on_growth = dom::find("main").and_then(|main| {
                let act = act.clone();
                dom::SizeWatch::new(&main, move || act.hold_against_growth())
            });
            move || drop((on_scroll, on_resize, on_growth))
        });
    }

    // After every drawing: measure, and put the reader's post back where it stood.
    {
        let act = act.clone();
        use_effect(move || act.settle());
    }

    {
        let (act, now) = (act.clone(), scene.clone());
        use_events(
            &scene.ui.bridge,
            Rc::new(move |event: &Event| act.hear(event, &now.session)),
        );
    }

    let show_new = {
        let act = act.clone();
        Callback::from(move |_: MouseEvent| act.show_new())
    };

    let life = life.borrow();
    let model = &life.model;
    let drawn = life.drawn.start.min(model.chunks().len())..life.drawn.end.min(model.chunks().len());
    let before: usize = model.chunks()[..drawn.start]
        .iter()
        .map(|chunk| chunk.posts.len())
        .sum();
    let of = if model.reach == Reach::End { model.len() } else { 0 };
    let mut position = before;
    html! {
        <div class="feed" ref={list}>
            <div class="pill-place" role="status">
                if model.held() > 0 || model.held_more {
                    <button type="button" class="pill" data-testid="new-posts-pill" onclick={show_new}>
                        { icon_with("up", "icon--small") }
                        { strings::new_posts(model.held(), model.held_more) }
                    </button>
                }
            </div>
            if model.is_empty() {
                if model.reach == Reach::End {
                    { props.empty.clone() }
                }
            } else {
                <div role="feed" aria-label={props.label} aria-busy={if model.loading { "true" } else { "false" }}>
                    { spacer("above", model.height(0..drawn.start)) }
                    { for model.chunks()[drawn.clone()].iter().map(|chunk| html! {
                        <div key={chunk.number} class="feed__chunk" role="presentation" data-chunk={chunk.number.to_string()}>
                            { for chunk.posts.iter().map(|post| {
                                position += 1;
                                html! {
                                    <Post
                                        key={post.entry.id.to_string()}
                                        ui={scene.ui.clone()}
                                        now_ms={scene.now_ms}
                                        post={post.clone()}
                                        {position}
                                        {of}
                                    />
                                }
                            }) }
                        </div>
                    }) }
                    { spacer("below", model.height(drawn.end..model.chunks().len())) }
                </div>
                if model.reach == Reach::End && drawn.end == model.chunks().len() {
                    <p class="feed__end">{ strings::FEED_END }</p>
                }
            }
        </div>
    }
}

/// Empty space in place of chunks that are not drawn. An image element takes its height from an attribute, which a
/// strict content security policy allows.
fn spacer(key: &'static str, height_px: f64) -> Html {
    html! {
        <svg {key} class="feed__spacer" width="1" height={(height_px as i64).to_string()} aria-hidden="true" focusable="false" />
    }
}

fn chunk_number(chunk: &Element) -> Option<u64> {
    chunk.get_attribute("data-chunk")?.parse().ok()
}

/// Everything that happens to a list. Cheap to clone; all clones share one life.
#[derive(Clone)]
struct Actor {
    life: Shared,
    list: NodeRef,
    redraw: Rc<dyn Fn()>,
    ui: Ui,
    timeline: Timeline,
}

impl Actor {
    fn name(&self) -> String {
        match self.timeline {
            Timeline::Home => "home".to_owned(),
            Timeline::Public => "public".to_owned(),
            Timeline::Activity => "activity".to_owned(),
            Timeline::User(account) => account.to_string(),
        }
    }

    fn lasting(&self) -> bool {
        self.timeline == Timeline::Home
    }

    /// Reads the list from its beginning, as far as the reader's place.
    fn open(&self, returning: bool) {
        let place = (self.lasting() || returning)
            .then(|| prefs::place(&self.name(), self.lasting()))
            .flatten();
        let generation = {
            let mut life = self.life.borrow_mut();
            life.model = FeedModel::default();
            life.model.loading = true;
            life.drawn = 0..0;
            life.keep = None;
            life.generation += 1;
            life.generation
        };
        let act = self.clone();
        spawn_local(async move {
            let mut wanted = FIRST_PAGE_POSTS;
            loop {
                if !act.read(wanted, generation).await {
                    return;
                }
                wanted = PAGE_POSTS;
                let mut life = act.life.borrow_mut();
                let found = place.and_then(|place| life.model.position(&place.post));
                let exhausted = life.model.reach == Reach::End || life.model.len() >= PLACE_SEARCH_POSTS_MAX;
                if found.is_none() && place.is_some() && !exhausted {
                    continue;
                }
                life.model.loading = false;
                life.drawn = life.model.window_around(found.unwrap_or(0));
                // At the very top with nothing new above there is nothing to go to.
                life.open_at = place.filter(|place| {
                    found.is_some_and(|at| at > 0 || f64::from(place.offset_px) < BAR_PX - TOP_PX)
                });
                break;
            }
            (act.redraw)();
        });
    }

    /// Reads one page. `false` if the list moved on meanwhile or nobody answered.
    async fn read(&self, limit: u32, generation: u32) -> bool {
        let after = match &self.life.borrow().model.reach {
            Reach::Nothing => None,
            Reach::More(cursor) => Some(cursor.clone()),
            Reach::End => return false,
        };
        let query = Query::Timeline {
            timeline: self.timeline,
            after,
            limit,
        };
        let reply = self.ui.bridge.query(query).await;
        let mut life = self.life.borrow_mut();
        if life.generation != generation {
            return false;
        }
        match reply {
            Ok(Reply::Page(page)) => {
                life.model.append(page);
                true
            }
            _ => {
                life.model.loading = false;
                false
            }
        }
    }

    /// Reads on, if the reader comes near the end of what was read.
    fn read_on(&self) {
        let generation = {
            let mut life = self.life.borrow_mut();
            let near_end = life.drawn.end + 2 >= life.model.chunks().len();
            if life.model.loading || !near_end || !matches!(life.model.reach, Reach::More(_)) {
                return;
            }
            life.model.loading = true;
            life.generation
        };
        let act = self.clone();
        spawn_local(async move {
            if act.read(PAGE_POSTS, generation).await {
                act.life.borrow_mut().model.loading = false;
                act.keep_place();
                (act.redraw)();
            }
        });
    }

    /// Looks at the screen in the next frame, once however many scroll events come before.
    fn ask_frame(&self) {
        if std::mem::replace(&mut self.life.borrow_mut().frame_asked, true) {
            return;
        }
        let act = self.clone();
        dom::next_frame(move || {
            act.life.borrow_mut().frame_asked = false;
            act.look();
        });
    }

    /// The screen moved: draw other chunks, read on, remember the place.
    fn look(&self) {
        let Some(list) = self.list.cast::<HtmlElement>() else {
            return;
        };
        let place = list.get_bounding_client_rect();
        let changed = {
            let mut life = self.life.borrow_mut();
            if (life.width_px - place.width()).abs() > 0.5 {
                life.width_px = place.width();
                life.model.forget_heights();
            }
            let window = life
                .model
                .window(Self::top_px(&list, &life), dom::viewport_height());
            let changed = window != life.drawn;
            life.drawn = window;
            changed
        };
        if changed {
            self.keep_place();
            (self.redraw)();
        }
        self.read_on();
        self.remember_soon();
    }

    /// Where the screen begins within the list, by the model's heights. What was measured since the last drawing moved
    /// the model, not yet the page: so it is reckoned from a chunk that stands on the page.
    fn top_px(list: &Element, life: &Life) -> f64 {
        let standing = dom::find_all(list, "[data-chunk]").into_iter().find_map(|chunk| {
            let number = chunk_number(&chunk)?;
            let index = life
                .model
                .chunks()
                .iter()
                .position(|known| known.number == number)?;
            Some((index, chunk.get_bounding_client_rect().top()))
        });
        match standing {
            Some((index, top_px)) => life.model.height(0..index) - top_px,
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
    fn hold_against_growth(&self) {
        let Some(list) = self.list.cast::<Element>() else {
            return;
        };
        let begin_px = list.get_bounding_client_rect().top() + dom::scroll_y();
        let was_px = std::mem::replace(&mut self.life.borrow_mut().begin_px, begin_px);
        let moved_px = begin_px - was_px;
        if was_px > 0.0 && moved_px.abs() > 0.5 && dom::scroll_y() > was_px {
            dom::scroll_to(dom::scroll_y() + moved_px);
        }
    }

    /// Remembers what stands at the upper edge, before something above it changes. At the top of the page nothing is
    /// kept: there the reader wants to see what comes.
    fn keep_place(&self) {
        if dom::scroll_y() < TOP_PX {
            return;
        }
        let top = self.top_post();
        let mut life = self.life.borrow_mut();
        if life.keep.is_none() {
            life.keep = top;
        }
    }

    /// After drawing: measures what is new and puts the reader's post back in its place.
    fn settle(&self) {
        let Some(list) = self.list.cast::<Element>() else {
            return;
        };
        for chunk in dom::find_all(&list, "[data-chunk]") {
            if let Some(number) = chunk_number(&chunk) {
                let height_px = chunk.get_bounding_client_rect().height();
                self.life.borrow_mut().model.measured(number, height_px);
            }
        }
        let (keep, open_at, to_top) = {
            let mut life = self.life.borrow_mut();
            (
                life.keep.take(),
                life.open_at.take(),
                std::mem::take(&mut life.to_top),
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
        self.life.borrow_mut().begin_px = list.get_bounding_client_rect().top() + dom::scroll_y();
        // What was drawn may be higher or lower than guessed: look whether the screen is covered.
        let covered = {
            let life = self.life.borrow();
            life.model.is_empty()
                || life
                    .model
                    .window(Self::top_px(&list, &life), dom::viewport_height())
                    == life.drawn
        };
        if !covered {
            self.ask_frame();
        }
    }

    fn remember_soon(&self) {
        let act = self.clone();
        let later = Timeout::new(PLACE_PAUSE_MS, move || act.remember());
        self.life.borrow_mut().remember = Some(later);
    }

    fn remember(&self) {
        if let Some((post, top_px)) = self.top_post() {
            let offset_px = top_px as i32;
            prefs::set_place(&self.name(), self.lasting(), Some(Place { post, offset_px }));
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

    fn hear(&self, event: &Event, session: &Session) {
        let changed = match event {
            Event::Posts { posts, more } => self.posts_came(posts, *more, session),
            Event::Durability { post, durability } => {
                self.life.borrow_mut().model.set_durability(post, *durability)
            }
            Event::Slug { post, slug, claim } => self.life.borrow_mut().model.update(post, |post| {
                post.slug_claim = claim.clone();
                if let Some(slug) = slug {
                    post.slug.clone_from(slug);
                }
            }),
            Event::Profile(profile) => self
                .life
                .borrow_mut()
                .model
                .rename(profile.account, &profile.name),
            Event::Ready { .. } => {
                let unread = {
                    let life = self.life.borrow();
                    life.model.is_empty() && life.model.reach == Reach::Nothing
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
            Event::Me(_) | Event::Status(_) | Event::Forked { .. } | Event::Relays(_) | Event::Repair(_) => {
                false
            }
        };
        if changed {
            (self.redraw)();
        }
    }

    fn posts_came(&self, posts: &[PostView], more: bool, session: &Session) -> bool {
        let own_device = session.me.as_ref().map(|me| me.device);
        let mut changed = false;
        let mut came = false;
        let mut own = false;
        for post in posts {
            if let Some(reply) = &post.reply
                && !self.life.borrow().model.contains(&post.entry)
            {
                let parent = reply.parent;
                changed |= self.life.borrow_mut().model.update(&parent, |parent| {
                    parent.replies = parent.replies.saturating_add(1).min(100);
                });
            }
            if !self.belongs(post) {
                continue;
            }
            let known = self.life.borrow_mut().model.update(&post.entry, |known| {
                known.clone_from(post);
            });
            if known {
                changed = true;
                continue;
            }
            came = true;
            if Some(post.device) == own_device && self.life.borrow().model.reach != Reach::Nothing {
                // One's own post appears at once, wherever the reader is.
                self.keep_place();
                let mut life = self.life.borrow_mut();
                let shift = usize::from(life.model.prepend(post.clone()));
                life.drawn = life.drawn.start + shift..(life.drawn.end + shift).max(1);
                if dom::scroll_y() < TOP_PX {
                    life.drawn.start = 0;
                }
                (changed, own) = (true, true);
            } else {
                changed |= self.life.borrow_mut().model.hold(post.entry);
            }
        }
        if more {
            let mut life = self.life.borrow_mut();
            changed |= !life.model.held_more;
            life.model.held_more = true;
            came = true;
        }
        // An empty page has no reader's place to protect: show what came.
        let empty = {
            let life = self.life.borrow();
            life.model.is_empty() && !life.model.loading
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

    /// The reader asks for what is new: the list begins anew from the top.
    fn show_new(&self) {
        let generation = {
            let mut life = self.life.borrow_mut();
            life.generation += 1;
            life.generation
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
                let mut life = act.life.borrow_mut();
                let (Ok(Reply::Page(page)), true) = (reply, life.generation == generation) else {
                    return;
                };
                life.model = FeedModel::default();
                life.model.append(page);
                life.drawn = life.model.window_around(0);
                life.keep = None;
                life.to_top = true;
            }
            (act.redraw)();
        });
    }
}
