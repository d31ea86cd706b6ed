//! A post's slug: asking for one, waiting, choosing another, giving it back. The long link works all the while.

pub mod strings;

use engine::api::{ClaimView, Command, PostView};
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::dom;
use crate::ui::features::Feature;
use crate::ui::features::handles::lookup;
use crate::ui::features::handles::strings::{HANDLE_CLAIM, HANDLE_DROP, HANDLE_RELEASE, claim_refused};
use crate::ui::features::post::{PostContext, PostPart, Shown};
use crate::ui::kit;
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::icons::icon;
use crate::ui::route::{Route, slug_path};

/// The page of a slug, and a post's slug on the post.
pub const FEATURE: Feature = Feature {
    page: |app| (app.location.route == Route::Slug).then(|| lookup::page(true)),
    post: PostPart {
        below: |context| {
            if context.shown == Shown::Focus {
                slug_part(context)
            } else {
                slug_note(context.post)
            }
        },
        ..PostPart::NONE
    },
    ..Feature::NONE
};

/// The name of the form that asks for a slug.
const PART: &str = "slug";

/// What a list says of an own post whose slug is not decided, or was refused; its page says what to do.
fn slug_note(post: &PostView) -> Html {
    let Some(claim) = &post.slug_claim else {
        return html! {};
    };
    let refused = claim.refused.is_some();
    html! {
        <p class="post__note" data-testid="slug-note">
            <a href={Route::Post(post.entry).path()}>{ if refused {
                claim_refused(claim, true)
            } else {
                strings::slug_waits(claim)
            } }</a>
        </p>
    }
}

/// The state of a post's slug, in one word that tests and styles use; empty: there is none.
fn state(post: &PostView) -> &'static str {
    match &post.slug_claim {
        Some(ClaimView { refused: None, .. }) => "waiting",
        Some(_) => "refused",
        None if post.beside.slug.is_empty() => "",
        None => "held",
    }
}

/// The slug on the post's own page.
fn slug_part(context: &PostContext<'_>) -> Html {
    let (ui, post, open) = (context.ui, context.post, &context.open);
    let set = |slug: Option<String>| Command::SetSlug {
        post: post.entry,
        slug,
    };
    let drop = {
        let (ui, command, open) = (ui.clone(), set(None), open.clone());
        Callback::from(move |_: MouseEvent| {
            open.set(PART, false);
            ui.command(command.clone());
        })
    };
    let state = state(post);
    let form = |focus: bool| {
        let entry = post.entry;
        let make = Callback::from(move |values: Vec<String>| {
            Ok(Command::SetSlug {
                post: entry,
                slug: Some(values[0].clone()),
            })
        });
        let field = Field {
            id: "slug-input",
            label: strings::SLUG_LABEL,
            hint: "",
            kind: Kind::Line,
            chars_max: 31,
            value: String::new(),
        };
        let open = open.clone();
        html! {
            <Form
                ui={ui.clone()}
                fields={vec![field]}
                {make}
                on_done={Callback::from(move |_| open.set(PART, false))}
                submit={HANDLE_CLAIM}
                button_class="btn"
                submit_testid="slug-claim"
                inline=true
                {focus}
            />
        }
    };
    html! {
        <div class="post__slug" data-testid="slug" data-slug={post.beside.slug.clone()} data-state={state}>
            if let (true, Some(claim)) = (post.mine, &post.slug_claim) {
                if state == "waiting" {
                    <p role="status">{ strings::slug_waits(claim) }</p>
                    if !claim.release {
                        { kit::button("btn btn--quiet", "slug-drop", "", HANDLE_DROP, drop) }
                    }
                } else {
                    { kit::trouble("slug-refused", Some(claim_refused(claim, true))) }
                    <p class="small soft">{ strings::SLUG_ALSO }</p>
                    { form(false) }
                    { kit::button("btn btn--quiet", "slug-drop", "", HANDLE_DROP, drop) }
                }
            } else if state == "held" {
                <a href={slug_path(&post.beside.slug)} class="post__address">
                    { icon("link") }<bdi>{ dom::host() }{ slug_path(&post.beside.slug) }</bdi>
                </a>
                if post.mine {
                    { kit::button("btn btn--quiet", "slug-release", "", HANDLE_RELEASE, drop) }
                }
            } else if post.mine && open.has(PART) {
                { form(true) }
            } else if post.mine {
                { kit::button("btn btn--quiet", "slug-open", "", strings::SLUG_ADD, {
                    let open = open.clone();
                    Callback::from(move |_: MouseEvent| open.set(PART, true))
                }) }
            }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use protocol::names::NameAnswer;

    use super::*;

    fn claim(release: bool, refused: Option<NameAnswer>) -> ClaimView {
        ClaimView {
            name: "why-they-flock".to_owned(),
            release,
            refused,
        }
    }

    #[test]
    fn a_claim_under_way_counts_before_the_slug_that_is_held() {
        let mut post = PostView::default();
        assert_eq!(state(&post), "");
        post.beside.slug = "flock".to_owned();
        assert_eq!(state(&post), "held");
        post.slug_claim = Some(claim(true, None));
        assert_eq!(state(&post), "waiting");
        post.slug_claim = Some(claim(false, Some(NameAnswer::Taken)));
        assert_eq!(state(&post), "refused");
    }

    #[test]
    fn a_slug_that_waits_says_which_way_it_goes() {
        let waits = |release| strings::slug_waits(&claim(release, None));
        assert!(waits(false).starts_with("Asking for /why-they-flock/"));
        assert!(waits(true).starts_with("Giving back /why-they-flock/"));
    }
}
