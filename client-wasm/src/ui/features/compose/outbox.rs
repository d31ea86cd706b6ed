//! Posts the engine has not accepted yet, as they are shown. They look like posts at once; what is wrong is said on the
//! post itself.

use protocol::EntryRef;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::pending::{OutboxAction, PendingPost, publish};
use super::strings;
use crate::ui::features::post;
use crate::ui::features::post::text::post_text;
use crate::ui::kit::avatar::avatar;
use crate::ui::kit::{self, shown_name};
use crate::ui::state::{Action, AppContext};

/// Those that answer this post; all if `None`.
pub fn pending_posts(app: &AppContext, reply_to: Option<EntryRef>) -> Html {
    app.session
        .outbox
        .unaccepted()
        .rev()
        .filter(|pending| reply_to.is_none() || pending.post.reply_to.map(|to| to.parent) == reply_to)
        .map(|pending| pending_post(app, pending))
        .collect()
}

fn pending_post(app: &AppContext, pending: &PendingPost) -> Html {
    let Some(me) = &app.session.me else {
        return html! {};
    };
    let post = &pending.post;
    let retry = {
        let (ui, post) = (app.ui.clone(), post.clone());
        Callback::from(move |_: MouseEvent| publish(&ui, post.clone()))
    };
    let discard = {
        let (ui, token) = (app.ui.clone(), post.token);
        Callback::from(move |_: MouseEvent| {
            ui.session
                .dispatch(Action::Outbox(OutboxAction::Discarded(token)));
        })
    };
    html! {
        <article class="post" aria-label={post::strings::post_by(&me.name)} data-testid="waiting-post" data-durability="saving">
            { avatar(&me.account, "44") }
            <div class="post__body">
                <div class="post__head">
                    <span class="post__name"><bdi>{ shown_name(&me.name, &me.account) }</bdi></span>
                    if pending.refused.is_none() {
                        <span class="post__time">{ kit::strings::SAVING }</span>
                    }
                </div>
                { post_text(&post.text, false) }
                if let Some(error) = &pending.refused {
                    <div class="post__trouble" role="alert">
                        <span>{ strings::NOT_TAKEN }{ " " }{ kit::strings::error_text(error) }</span>
                        <span class="row">
                            { kit::button("btn", "waiting-retry", "", kit::strings::RETRY, retry) }
                            { kit::button("btn btn--quiet", "waiting-discard", "", strings::DISCARD, discard) }
                        </span>
                    </div>
                }
            </div>
        </article>
    }
}
