//! Where one writes. Grows with the text, keeps the draft through a reload, counts only near the limit.

pub mod drafts;
pub mod outbox;
pub mod pending;
pub mod strings;

use engine::api::{Connection, PostView};
use protocol::kinds::ReplyTo;
use protocol::limits::POST_CHARS_MAX;
use text::visible;
use web_sys::{HtmlInputElement, HtmlTextAreaElement, InputEvent, KeyboardEvent, MouseEvent, SubmitEvent};
use yew::prelude::*;

use self::pending::{NewPost, publish};
use crate::ui::dom;
use crate::ui::features::Feature;
use crate::ui::features::post::{PostContext, PostPart, Shown, act_on_focused, answering};
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::icons::icon;
use crate::ui::kit::sheet::Sheet;
use crate::ui::route::entry_to_text;
use crate::ui::shell::keyboard::Shortcut;
use crate::ui::shell::layout::NavItem;
use crate::ui::state::{Action, Dialog, use_app};

/// The button that opens the composer, and *Reply* on every post.
pub const FEATURE: Feature = Feature {
    nav: Some(NavItem::Open {
        dialog: || Dialog::Compose,
        icon: "post",
        label: strings::POST,
        testid: "nav-post",
    }),
    post: PostPart {
        action: reply_action,
        ..PostPart::NONE
    },
    shortcuts: &[
        Shortcut {
            key: "r",
            what: strings::KEY_REPLY,
            run: |_| act_on_focused("reply"),
        },
        Shortcut {
            key: "n",
            what: strings::KEY_COMPOSE,
            run: |ui| ui.session.dispatch(Action::Open(Dialog::Compose)),
        },
    ],
    ..Feature::NONE
};

/// The counter appears when fewer characters than this are left.
const COUNTED_CHARS: i64 = 300;

/// The field of the slug.
const SLUG_INPUT: &str = "composer-slug";

/// A place to write.
#[derive(Properties, PartialEq)]
pub struct ComposerProps {
    /// What is answered.
    #[prop_or_default]
    pub reply_to: Option<ReplyTo>,
    /// Takes the focus when it appears.
    #[prop_or_default]
    pub focus: bool,
    /// Called after the text was sent.
    #[prop_or_default]
    pub on_sent: Callback<()>,
    /// Lies behind a sheet that writes the same draft: keeps its place, and nothing more.
    #[prop_or_default]
    pub behind: bool,
}

fn chars_left(text: &str) -> i64 {
    POST_CHARS_MAX as i64 - text.trim().chars().count() as i64
}

#[component]
pub fn Composer(props: &ComposerProps) -> Html {
    let app = use_app();
    let (ui, session) = (&app.ui, &app.session);
    let input = use_node_ref();
    let key = props
        .reply_to
        .as_ref()
        .map_or_else(|| "new".to_owned(), |to| entry_to_text(&to.parent));
    let text = use_state(|| drafts::load(&key));
    // The slug wished for, once the person wants one.
    let slug = use_state(|| None::<String>);

    {
        let input = input.clone();
        use_effect_with((props.focus, key.clone()), move |(focus, _)| {
            if *focus && let Some(area) = input.cast::<HtmlTextAreaElement>() {
                dom::focus_quietly(&area);
                // The cursor belongs behind what was already written.
                let end = area.value().encode_utf16().count() as u32;
                let _ = area.set_selection_range(end, end);
            }
        });
    }

    let oninput = {
        let (text, key) = (text.clone(), key.clone());
        Callback::from(move |event: InputEvent| {
            let value = event.target_unchecked_into::<HtmlTextAreaElement>().value();
            drafts::save(&key, &value);
            text.set(value);
        })
    };

    let left = chars_left(&text);
    let open_to_posts = session.may_write() && session.outbox.has_room();
    let may_send = open_to_posts && !visible::is_blank(&text) && left >= 0;
    let send = {
        let (ui, text, reply_to, on_sent) = (ui.clone(), text.clone(), props.reply_to, props.on_sent.clone());
        let (input, connection) = (input.clone(), session.status.connection);
        let slug = slug.clone();
        Callback::from(move |()| {
            // The text area is the truth: a key press may have come after the last drawing.
            let value = input
                .cast::<HtmlTextAreaElement>()
                .map_or_else(|| (*text).clone(), |area| area.value());
            if !open_to_posts || visible::is_blank(&value) || chars_left(&value) < 0 {
                return;
            }
            publish(
                &ui,
                NewPost {
                    token: dom::random_token(),
                    text: value.trim().to_owned(),
                    reply_to,
                    slug: slug
                        .as_deref()
                        .unwrap_or_default()
                        .trim_matches(['/', ' '])
                        .to_owned(),
                },
            );
            slug.set(None);
            drafts::save(&key, "");
            text.set(String::new());
            match connection {
                Connection::Offline => ui.say(strings::SAID_OFFLINE),
                Connection::Connecting => ui.say(strings::SAID_CONNECTING),
                Connection::Online => {}
            }
            on_sent.emit(());
        })
    };
    let onsubmit = {
        let send = send.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            send.emit(());
        })
    };
    let onkeydown = Callback::from(move |event: KeyboardEvent| {
        if event.key() == "Enter" && (event.ctrl_key() || event.meta_key()) {
            event.prevent_default();
            send.emit(());
        }
    });

    let name_it = {
        let slug = slug.clone();
        Callback::from(move |_: MouseEvent| {
            slug.set(slug.is_none().then(String::new));
            dom::focus_soon(SLUG_INPUT, 3);
        })
    };
    let on_name = {
        let slug = slug.clone();
        Callback::from(move |event: InputEvent| {
            slug.set(Some(event.target_unchecked_into::<HtmlInputElement>().value()));
        })
    };

    let reply = props.reply_to.is_some();
    let label = if reply {
        strings::COMPOSE_REPLY_LABEL
    } else {
        strings::COMPOSE_LABEL
    };
    let open = props.focus || !text.is_empty();
    let hint = match session.status.connection {
        Connection::Offline => Some(strings::COMPOSE_OFFLINE),
        Connection::Connecting => Some(strings::COMPOSE_CONNECTING),
        Connection::Online => None,
    };
    html! {
        <form
            class={classes!("composer", open.then_some("composer--open"), reply.then_some("composer--reply"))}
            {onsubmit}
        >
            if let Some(me) = &session.me {
                { avatar(&me.account, "44") }
            }
            <div class="composer__main">
                <div class="composer__grow" data-value={(*text).clone()}>
                    <textarea
                        ref={input}
                        class="composer__input"
                        data-testid={(!props.behind).then_some("composer-input")}
                        aria-label={label}
                        placeholder={if reply { strings::COMPOSE_REPLY_PLACEHOLDER } else { strings::COMPOSE_PLACEHOLDER }}
                        rows="1"
                        autofocus={props.focus}
                        dir="auto"
                        autocapitalize="sentences"
                        disabled={!session.may_write() || props.behind}
                        value={(*text).clone()}
                        {oninput}
                        {onkeydown}
                    />
                </div>
                if let Some(slug) = &*slug {
                    <label class="composer__slug small soft">
                        { strings::SLUG }
                        <input
                            class="input"
                            id={SLUG_INPUT}
                            data-testid={SLUG_INPUT}
                            type="text"
                            dir="auto"
                            autocomplete="off"
                            autocapitalize="off"
                            spellcheck="false"
                            maxlength="30"
                            placeholder={strings::SLUG_PLACEHOLDER}
                            value={slug.clone()}
                            oninput={on_name}
                        />
                    </label>
                }
                <div class="composer__foot">
                    if open && !reply && !props.behind {
                        { kit::icon_button("btn btn--quiet btn--icon", "link", strings::SLUG, name_it) }
                    }
                    <span class="composer__hint">{ hint.unwrap_or_default() }</span>
                    if left < COUNTED_CHARS {
                        <span
                            class={classes!("composer__count", (left < 0).then_some("composer__count--over"))}
                            role="status"
                        >{ strings::characters_left(left) }</span>
                    }
                    <button
                        type="submit"
                        class="btn btn--primary"
                        data-testid={(!props.behind).then_some("composer-send")}
                        aria-disabled={(!may_send).then_some("true")}
                    >{ if reply { strings::COMPOSE_SEND_REPLY } else { strings::COMPOSE_SEND } }</button>
                </div>
            </div>
        </form>
    }
}

/// Answers a post: below it on its own page, elsewhere in a sheet.
fn reply_action(context: &PostContext<'_>) -> Html {
    let (replies, focus) = (context.post.beside.replies, context.shown == Shown::Focus);
    let onclick = {
        let (ui, post) = (context.ui.clone(), context.post.clone());
        Callback::from(move |_: MouseEvent| {
            match dom::find("main .composer--reply [data-testid=composer-input]").filter(|_| focus) {
                Some(area) => {
                    dom::focus_quietly(&area);
                    dom::reveal(&area);
                }
                None => ui.session.dispatch(Action::Open(Dialog::Reply(post.clone()))),
            }
        })
    };
    html! {
        <button
            type="button"
            class="action"
            data-action="reply"
            aria-label={strings::reply_to(context.name, replies)}
            {onclick}
        >
            { icon("reply") }
            if replies > 0 {
                <span>{ strings::reply_count(replies) }</span>
            }
        </button>
    }
}

/// The composer in a sheet: for a new post, or for a reply to this one.
pub fn compose_sheet(reply_to: Option<&PostView>, on_close: &Callback<()>) -> Html {
    let title = match reply_to {
        Some(post) => strings::reply_to(&kit::plain_name(&post.name, &post.entry.account), 0),
        None => strings::COMPOSE_LABEL.to_owned(),
    };
    html! {
        <Sheet name={if reply_to.is_some() { "reply" } else { "compose" }} {title} on_close={on_close.clone()}>
            if let Some(post) = reply_to {
                <div class="composer__quote" dir="auto"><p>{ visible::text(&post.text).into_owned() }</p></div>
            }
            <Composer reply_to={reply_to.map(answering)} focus=true on_sent={on_close.clone()} />
        </Sheet>
    }
}
