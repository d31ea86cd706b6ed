//! What this device stores, and to whom it shows its address.

use engine::api::Command;
use web_sys::{Event, HtmlInputElement, MouseEvent};
use yew::prelude::*;

use super::strings;
use crate::ui::bridge::HostCommand;
use crate::ui::kit;
use crate::ui::state::AppContext;

/// Width of the meter, in its own units.
const METER_WIDTH: u64 = 1_000;
/// The least that the meter shows, so that a little does not look like nothing.
const METER_MIN: u64 = 4;

/// How much of the meter is filled.
fn meter(used_bytes: u64, quota_bytes: u64) -> u64 {
    let share = used_bytes.saturating_mul(METER_WIDTH) / quota_bytes.max(1);
    share.clamp(METER_MIN, METER_WIDTH)
}

/// Storage used and left, and whether the browser keeps it.
pub fn storage(app: &AppContext) -> Html {
    let keep = {
        let ui = app.ui.clone();
        Callback::from(move |_: MouseEvent| ui.bridge.host_command(HostCommand::KeepStorage))
    };
    let Some(storage) = app.session.host.storage else {
        return kit::section(
            strings::STORAGE,
            html! { <p class="soft">{ strings::STORAGE_UNKNOWN }</p> },
        );
    };
    let filled = meter(storage.used_bytes, storage.quota_bytes);
    html! {
        <section class="section" data-testid="storage" data-persistent={if storage.persistent { "true" } else { "false" }}>
            <h2>{ strings::STORAGE }</h2>
            <div class="stack stack--wide">
                <svg class="meter" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                    <rect class="meter__fill" width={filled.to_string()} height="8" />
                </svg>
                { kit::facts(&[
                    (strings::STORAGE_USED, kit::strings::bytes(storage.used_bytes)),
                    (strings::STORAGE_LEFT, kit::strings::bytes(storage.quota_bytes.saturating_sub(storage.used_bytes))),
                    (
                        strings::STORAGE_KEPT,
                        (if storage.persistent { strings::STORAGE_KEPT_YES } else { strings::STORAGE_KEPT_NO }).to_owned(),
                    ),
                ]) }
                if !storage.persistent {
                    <p class="small soft">{ strings::STORAGE_KEPT_HINT }</p>
                    <div>{ kit::button("btn", "storage-keep", "", strings::STORAGE_KEEP, keep) }</div>
                }
            </div>
        </section>
    }
}

/// The switch that links to relays alone.
pub fn privacy(app: &AppContext) -> Html {
    let on = app.session.me.as_ref().is_some_and(|me| me.relays_only);
    let onchange = {
        let ui = app.ui.clone();
        Callback::from(move |event: Event| {
            let on = event.target_unchecked_into::<HtmlInputElement>().checked();
            ui.command(Command::SetRelaysOnly { on });
        })
    };
    html! {
        <section class="section">
            <h2>{ strings::PRIVACY }</h2>
            <label class="switch">
                <span>
                    { strings::RELAYS_ONLY }
                    <span class="field__hint switch__hint">{ strings::RELAYS_ONLY_HINT }</span>
                </span>
                <input type="checkbox" role="switch" data-testid="relays-only" checked={on} {onchange} />
            </label>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::meter;

    #[test]
    fn the_meter_shows_a_share_and_never_nothing_or_more_than_all() {
        assert_eq!(meter(500, 1_000), 500);
        assert_eq!(meter(0, 1_000), 4);
        assert_eq!(meter(2_000, 1_000), 1_000);
        // A browser that does not say how much there is.
        assert_eq!(meter(0, 0), 4);
        assert_eq!(meter(u64::MAX, 0), 1_000);
    }
}
