//! Posts the engine has not taken yet. They look like posts at once; trouble is said on the post itself.

use protocol::EntryRef;
use yew::prelude::*;

use super::avatar::Avatar;
use super::post_text::PostText;
use crate::ui::state::{Action, use_session, use_ui};
use crate::ui::strings;

/// Which of them.
#[derive(Properties, PartialEq)]
pub struct WaitingProps {
    /// Only answers in this thread's post; all if `None`.
    #[prop_or_default]
    pub reply_to: Option<EntryRef>,
}

/// See [`WaitingProps`].
#[component]
pub fn WaitingPosts(props: &WaitingProps) -> Html {
    let ui = use_ui();
    let session = use_session();
    let Some(me) = &session.me else {
        return html! {};
    };
    let wanted = session.waiting.iter().rev().filter(|waiting| {
        props.reply_to.is_none() || waiting.post.reply_to.as_ref().map(|to| to.parent) == props.reply_to
    });
    html! {
        { for wanted.map(|waiting| {
            let post = &waiting.post;
            let key: String = post.token.iter().map(|byte| format!("{byte:02x}")).collect();
            let retry = {
                let (ui, post) = (ui.clone(), post.clone());
                Callback::from(move |_: MouseEvent| ui.publish(post.clone()))
            };
            let discard = {
                let (ui, token) = (ui.clone(), post.token);
                Callback::from(move |_: MouseEvent| ui.session.dispatch(Action::Discarded(token)))
            };
            html! {
                <article {key} class="post" aria-label={strings::post_by(&me.name)} data-testid="waiting-post" data-durability="saving">
                    <Avatar account={me.account} />
                    <div class="post__body">
                        <div class="post__head">
                            <span class="post__name"><bdi>{ me.name.clone() }</bdi></span>
                            if waiting.refused.is_none() {
                                <span class="post__time">{ strings::SAVING }</span>
                            }
                        </div>
                        <PostText text={post.text.clone()} />
                        if let Some(refusal) = &waiting.refused {
                            <div class="post__trouble" role="alert">
                                <span>{ strings::NOT_TAKEN }{ " " }{ strings::refusal(refusal) }</span>
                                <span class="row">
                                    <button type="button" class="btn" onclick={retry}>{ strings::RETRY }</button>
                                    <button type="button" class="btn btn--quiet" onclick={discard}>{ strings::DISCARD }</button>
                                </span>
                            </div>
                        }
                    </div>
                </article>
            }
        }) }
    }
}
