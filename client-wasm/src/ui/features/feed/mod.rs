//! A timeline on the page: windowed, opened where the reader left it, and never moving under the reader's eyes.

mod controller;
mod model;
mod scroll_position;
mod strings;

use std::rc::Rc;

use engine::api::{Event, Timeline};
use gloo_events::EventListener;
use web_sys::MouseEvent;
use yew::prelude::*;

use self::controller::{FeedController, FeedState, Shared};
use self::model::ReadUpTo;
use crate::ui::dom;
use crate::ui::features::post::Post;
use crate::ui::kit::icons::icon_with;
use crate::ui::state::{use_app, use_events};

#[derive(Properties, PartialEq)]
pub struct FeedProps {
    pub timeline: Timeline,
    /// Its name for screen readers.
    pub label: &'static str,
    /// Shown when it has no posts.
    pub empty: Html,
}

#[component]
pub fn Feed(props: &FeedProps) -> Html {
    let app = use_app();
    let list = use_node_ref();
    let redraw = use_force_update();
    let timeline = props.timeline;
    let state: Shared = use_mut_ref(FeedState::default);
    let act = FeedController::new(
        state.clone(),
        list.clone(),
        Rc::new(move || redraw.force_update()),
        app.ui.clone(),
        timeline,
    );

    // Opening: home always where the reader left it, other lists only when going back to them.
    {
        let act = act.clone();
        let returning = app.location.returning;
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
            // What is above the list comes, goes and grows as well.
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
        let (act, now) = (act.clone(), app.clone());
        use_events(
            &app.ui.bridge,
            Rc::new(move |event: &Event| act.on_event(event, &now.session)),
        );
    }

    let show_new = {
        let act = act.clone();
        Callback::from(move |_: MouseEvent| act.show_new())
    };

    let state = state.borrow();
    let model = &state.model;
    let drawn = state.drawn.start.min(model.chunks().len())..state.drawn.end.min(model.chunks().len());
    let before: usize = model.chunks()[..drawn.start]
        .iter()
        .map(|chunk| chunk.posts.len())
        .sum();
    let of = if model.reach == ReadUpTo::End {
        model.len()
    } else {
        0
    };
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
                if model.reach == ReadUpTo::End {
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
                                        ui={app.ui.clone()}
                                        now_ms={app.now_ms}
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
                if model.reach == ReadUpTo::End && drawn.end == model.chunks().len() {
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
