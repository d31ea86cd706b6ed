//! Posts the engine has not taken yet. They look like posts at once; trouble is said on the post itself.

use protocol::EntryRef;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::post::text::post_text;
use crate::ui::kit;
use crate::ui::kit::avatar::avatar;
use crate::ui::state::{Action, Scene, Waiting};
use crate::ui::strings;

/// Those that answer this post; all if `None`.
pub fn waiting_posts(scene: &Scene, reply_to: Option<EntryRef>) -> Html {
    scene
        .session
        .waiting
        .iter()
        .rev()
        .filter(|waiting| reply_to.is_none() || waiting.post.reply_to.map(|to| to.parent) == reply_to)
        .map(|waiting| waiting_post(scene, waiting))
        .collect()
}

fn waiting_post(scene: &Scene, waiting: &Waiting) -> Html {
    let Some(me) = &scene.session.me else {
        return html! {};
    };
    let post = &waiting.post;
    let retry = {
        let (ui, post) = (scene.ui.clone(), post.clone());
        Callback::from(move |_: MouseEvent| ui.publish(post.clone()))
    };
    let discard = {
        let (ui, token) = (scene.ui.clone(), post.token);
        Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Discarded(token)))
    };
    html! {
        <article class="post" aria-label={strings::post_by(&me.name)} data-testid="waiting-post" data-durability="saving">
            { avatar(&me.account, "44") }
            <div class="post__body">
                <div class="post__head">
                    <span class="post__name"><bdi>{ me.name.clone() }</bdi></span>
                    if waiting.refused.is_none() {
                        <span class="post__time">{ strings::SAVING }</span>
                    }
                </div>
                { post_text(&post.text, false) }
                if let Some(refusal) = &waiting.refused {
                    <div class="post__trouble" role="alert">
                        <span>{ strings::NOT_TAKEN }{ " " }{ strings::refusal(refusal) }</span>
                        <span class="row">
                            { kit::button("btn", "waiting-retry", "", strings::RETRY, retry) }
                            { kit::button("btn btn--quiet", "waiting-discard", "", strings::DISCARD, discard) }
                        </span>
                    </div>
                }
            </div>
        </article>
    }
}
