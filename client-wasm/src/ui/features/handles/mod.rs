//! One's own handle: asking for it, waiting, giving it back or to another account; and the page of a handle.

pub mod lookup;
pub mod strings;

use engine::api::{ClaimView, Command, MeView, OfferView};
use protocol::AccountId;
use protocol::names::NameAnswer;
use wasm_bindgen_futures::spawn_local;
use web_sys::MouseEvent;
use yew::prelude::*;

use crate::ui::features::follow::{Pasted, pasted};
use crate::ui::features::{Feature, follow};
use crate::ui::kit::form::{Field, Form, Kind};
use crate::ui::kit::{self, plain_name};
use crate::ui::route::Route;
use crate::ui::state::Ui;

/// The page of a handle.
pub const FEATURE: Feature = Feature {
    page: |app| (app.location.route == Route::Handle).then(|| lookup::page(false)),
    ..Feature::NONE
};

/// The section of the page about oneself.
pub fn handle(ui: &Ui, me: &MeView) -> Html {
    let refused = me.claim.as_ref().filter(|claim| claim.refused.is_some());
    let asked_offer = me.offer.as_ref().filter(|offer| !offer.stands);
    html! {
        <section class="section" data-testid="handle" data-handle={me.handle.clone()}>
            <h2>{ strings::HANDLE }</h2>
            <div class="stack">
                { match &me.claim {
                    Some(claim) if refused.is_none() => waiting(ui, claim, asked_offer),
                    _ if !me.handle.is_empty() => held(ui, me, refused),
                    _ => html! {
                        <>
                            <p class="soft">{ strings::HANDLE_LEAD }</p>
                            { kit::trouble("handle-refused", refused.map(|claim| strings::claim_refused(claim, false))) }
                            { form(ui) }
                        </>
                    },
                } }
            </div>
        </section>
    }
}

fn waiting(ui: &Ui, claim: &ClaimView, offer: Option<&OfferView>) -> Html {
    let text = match offer {
        Some(offer) => strings::offer_waits(&claim.name, offer.to.map(|to| plain_name(&offer.name, &to))),
        None => strings::claim_waits(claim),
    };
    html! {
        <>
            <p role="status" data-testid="handle-waiting">{ text }</p>
            { kit::button("btn", "handle-drop", "", strings::HANDLE_DROP, command(ui, Command::DropClaim)) }
        </>
    }
}

fn held(ui: &Ui, me: &MeView, refused: Option<&ClaimView>) -> Html {
    let trouble = refused.map(|claim| match claim.refused {
        Some(NameAnswer::NotYours) if claim.name == me.handle => strings::not_yours(&me.handle),
        _ => strings::claim_refused(claim, false),
    });
    let standing = me.offer.as_ref().filter(|offer| offer.stands);
    html! {
        <>
            <p>{ strings::handle_held(&me.handle) }</p>
            { kit::trouble("handle-refused", trouble) }
            if refused.is_some() {
                { kit::button("btn", "handle-drop", "", strings::HANDLE_DROP, command(ui, Command::DropClaim)) }
            }
            if let Some((offer, to)) = standing.and_then(|offer| Some((offer, offer.to?))) {
                <p data-testid="handle-offered">{ strings::offer_stands(&me.handle, &plain_name(&offer.name, &to)) }</p>
                { kit::button("btn", "offer-back", "", strings::OFFER_BACK, command(ui, Command::OfferName { to: None })) }
            } else {
                { kit::button("btn", "handle-release", "", strings::HANDLE_RELEASE, command(ui, Command::ReleaseName)) }
                <details class="fold" data-testid="offer">
                    <summary>{ strings::OFFER }</summary>
                    { offer_form(ui, me.account) }
                </details>
            }
        </>
    }
}

/// Asks for a profile link or a name, whose owner is looked up first.
fn offer_form(ui: &Ui, me: AccountId) -> Html {
    let field = Field {
        id: "offer-input",
        label: strings::OFFER_LABEL,
        hint: strings::OFFER_HINT,
        kind: Kind::Address,
        chars_max: 0,
        value: String::new(),
    };
    let make = {
        let ui = ui.clone();
        move |values: Vec<String>| match pasted(&values[0], Some(me)) {
            Pasted::Account(account) => Ok(Command::OfferName { to: Some(account) }),
            Pasted::Own => Err(strings::OFFER_SELF.to_owned()),
            Pasted::Handle(handle) => {
                offer_to_name(ui.clone(), me, handle);
                Err(String::new())
            }
            Pasted::Post(_) | Pasted::Nothing => Err(follow::strings::FOLLOW_BAD.to_owned()),
        }
    };
    html! {
        <Form
            ui={ui.clone()}
            fields={vec![field]}
            make={Callback::from(make)}
            on_done={Callback::noop()}
            submit={strings::OFFER_SUBMIT}
            button_class="btn"
            submit_testid="offer-submit"
            error_testid="offer-error"
            inline=true
        />
    }
}

fn offer_to_name(ui: Ui, me: AccountId, name: String) {
    spawn_local(async move {
        match follow::owner_of(&ui, name).await {
            Ok(account) if account == me => ui.say(strings::OFFER_SELF),
            Ok(account) => ui.command(Command::OfferName { to: Some(account) }),
            Err(why) => ui.say(why),
        }
    });
}

fn command(ui: &Ui, command: Command) -> Callback<MouseEvent> {
    let ui = ui.clone();
    Callback::from(move |_: MouseEvent| ui.command(command.clone()))
}

fn form(ui: &Ui) -> Html {
    let field = Field {
        id: "handle-input",
        label: strings::HANDLE_LABEL,
        hint: "",
        kind: Kind::Line,
        chars_max: 31,
        value: String::new(),
    };
    let make = |values: Vec<String>| {
        Ok(Command::ClaimName {
            name: values[0].clone(),
        })
    };
    html! {
        <Form
            ui={ui.clone()}
            fields={vec![field]}
            make={Callback::from(make)}
            on_done={Callback::noop()}
            submit={strings::HANDLE_CLAIM}
            button_class="btn"
            submit_testid="handle-claim"
            inline=true
            clears=true
        />
    }
}
