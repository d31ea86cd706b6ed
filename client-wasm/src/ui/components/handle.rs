//! One's own name in the network: asking for it, waiting, giving it back.

use engine::api::{ClaimView, Command, MeView};
use web_sys::MouseEvent;
use yew::prelude::*;

use super::form::{Field, Form, Kind};
use super::part;
use crate::ui::state::Ui;
use crate::ui::strings;

/// The section of the page about oneself.
pub fn handle(ui: &Ui, me: &MeView) -> Html {
    let refused = me.claim.as_ref().filter(|claim| claim.refused.is_some());
    html! {
        <section class="section" data-testid="handle" data-handle={me.handle.clone()}>
            <h2>{ strings::HANDLE }</h2>
            <div class="stack">
                { match &me.claim {
                    Some(claim) if refused.is_none() => waiting(ui, claim),
                    _ if !me.handle.is_empty() => held(ui, &me.handle),
                    _ => html! {
                        <>
                            <p class="soft">{ strings::HANDLE_LEAD }</p>
                            { part::trouble("handle-refused", refused.map(|claim| strings::claim_refused(claim, false))) }
                            { form(ui) }
                        </>
                    },
                } }
            </div>
        </section>
    }
}

fn waiting(ui: &Ui, claim: &ClaimView) -> Html {
    html! {
        <>
            <p role="status" data-testid="handle-waiting">{ strings::claim_waits(claim) }</p>
            { part::button("btn", "handle-drop", "", strings::HANDLE_DROP, command(ui, Command::DropClaim)) }
        </>
    }
}

fn held(ui: &Ui, handle: &str) -> Html {
    html! {
        <>
            <p>{ strings::handle_held(handle) }</p>
            { part::button("btn", "handle-release", "", strings::HANDLE_RELEASE, command(ui, Command::ReleaseName)) }
        </>
    }
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
