//! The devices of the account, and withdrawing one.

use engine::api::{Command, DeviceView, MeView};
use text::visible;
use web_sys::MouseEvent;
use yew::prelude::*;

use super::{Over, strings};
use crate::ui::features::recovery_phrase;
use crate::ui::kit::form::Form;
use crate::ui::kit::icons::icon;
use crate::ui::kit::sheet::Sheet;
use crate::ui::kit::time;
use crate::ui::state::Ui;

/// Whether the device can be withdrawn from here: it is another one, and still part of the account.
fn can_withdraw(device: &DeviceView) -> bool {
    !device.this && !device.revoked
}

/// The section with the account's devices.
pub(super) fn devices(me: &MeView, open: &Callback<Over>) -> Html {
    html! {
        <section class="section">
            <h2>{ strings::DEVICES }</h2>
            <ul>
                { for me.devices.iter().map(|device| {
                    let chosen = device.clone();
                    html! {
                        <li key={device.device.to_string()} class="device" data-testid="device">
                            { icon("device") }
                            <div class="device__text">
                                <p><bdi>{ visible::name(&device.name) }</bdi>{ " " }
                                    if device.this {
                                        <span class="tag">{ strings::THIS_DEVICE }</span>
                                    }
                                    if device.revoked {
                                        <span class="tag tag--bad">{ strings::WITHDRAWN }</span>
                                    }
                                </p>
                                <p class="small soft">{ strings::device_facts(&time::day(device.since), device.entries) }</p>
                            </div>
                            if can_withdraw(device) {
                                <button
                                    type="button"
                                    class="btn"
                                    aria-label={strings::withdraw_title(&visible::isolated(&device.name))}
                                    onclick={open.reform(move |_: MouseEvent| Over::Withdraw(chosen.clone()))}
                                >{ strings::WITHDRAW }</button>
                            }
                        </li>
                    }
                }) }
            </ul>
            <p class="small soft">{ strings::DEVICES_HINT }</p>
        </section>
    }
}

/// Asks for the recovery words, and withdraws a device.
pub(super) fn withdraw_sheet(ui: &Ui, device: &DeviceView, open: &Callback<Over>) -> Html {
    let make = {
        let device = device.device;
        Callback::from(move |values: Vec<String>| {
            Ok(Command::RevokeDevice {
                phrase: values[0].clone(),
                device,
            })
        })
    };
    let on_done = {
        let (ui, open) = (ui.clone(), open.clone());
        Callback::from(move |_: Vec<String>| {
            ui.say(strings::WITHDRAWN_NOW);
            open.emit(Over::Nothing);
        })
    };
    html! {
        <Sheet name="withdraw" title={strings::withdraw_title(&device.name)} on_close={open.reform(|()| Over::Nothing)}>
            <div class="stack stack--wide">
                <p>{ strings::WITHDRAW_LEAD }</p>
                <Form
                    ui={ui.clone()}
                    fields={vec![recovery_phrase::field("withdraw-phrase")]}
                    {make}
                    {on_done}
                    submit={strings::WITHDRAW}
                    button_class="btn btn--bad"
                    submit_testid="withdraw-submit"
                />
            </div>
        </Sheet>
    }
}

#[cfg(test)]
mod tests {
    use protocol::{DeviceId, Timestamp};

    use super::*;

    #[test]
    fn another_device_can_be_withdrawn_once_and_this_one_never() {
        let device = |this, revoked| DeviceView {
            device: DeviceId([1; 32]),
            name: "Phone".to_owned(),
            since: Timestamp(0),
            revoked,
            this,
            entries: 1,
        };
        assert!(can_withdraw(&device(false, false)));
        assert!(!can_withdraw(&device(true, false)));
        assert!(!can_withdraw(&device(false, true)));
    }

    #[test]
    fn a_device_says_since_when_and_how_much_it_wrote() {
        assert_eq!(strings::device_facts("1 May", 1), "Since 1 May · 1 entry");
        assert_eq!(strings::device_facts("1 May", 2), "Since 1 May · 2 entries");
    }
}
